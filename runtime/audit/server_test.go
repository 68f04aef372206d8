package audit_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	auditv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

var policy = authz.Policy{Roles: map[string]authz.Role{
	"auditor": {
		Grants: []authz.Grant{{Permission: "auditrecords.read", Scope: accessv1.Scope_SCOPE_COMPANY}},
		Sees:   []authz.Clearance{{Purpose: "work", Shown: accessv1.Sensitivity_SENSITIVITY_INTERNAL}},
	},
	"manager": {Grants: []authz.Grant{{Permission: "other.read", Scope: accessv1.Scope_SCOPE_COMPANY}}},
}}

// trailed is a service with n records: of actor a and b in turns, each of a minute of its own.
func trailed(t *testing.T, n int) (*testkit.Service, auditv1.AuditServiceClient, []uuid.UUID) {
	t.Helper()
	s := testkit.NewService(t, testkit.ServiceConfig{Name: "complaint", Policy: policy})
	key := s.Process.Keyring.Derive(audit.KeyLabel)
	var objects []uuid.UUID
	for i := range n {
		objects = append(objects, uuid.New())
		e := audit.Entry{Action: []string{"/x/A", "/x/B", "/x/C"}[i%3], ObjectType: "thing", ObjectID: objects[i], Right: []string{"role:r/p", "grant:1"}[i/2%2]}
		if i%4 == 0 {
			e.CustomerID = objects[0]
		}
		o := audit.Origin{Time: s.Clock.Now().Add(time.Duration(i-n) * time.Minute), Actor: []string{"iss|a", "iss|b"}[i%2], ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, RequestID: "r", Address: addresses[i%len(addresses)]}
		if err := pg.InBatch(t.Context(), s.Pool, func(b *pg.Batch) error { return audit.Insert(t.Context(), b, key, e, o) }); err != nil {
			t.Fatal(err)
		}
	}
	linkIn(t, s, key)
	return s, auditv1.NewAuditServiceClient(s.Conn), objects
}

func linkIn(t *testing.T, s *testkit.Service, key []byte) {
	t.Helper()
	err := pg.InTx(t.Context(), s.Pool, func(tx pgx.Tx) error {
		_, err := audit.Link(t.Context(), tx, key, 1000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestListAuditRecordsByEachFilter(t *testing.T) {
	s, client, objects := trailed(t, 12)
	began := s.Clock.Now().Add(-12 * time.Minute)
	for name, c := range map[string]struct {
		req  *auditv1.ListAuditRecordsRequest
		want []int64 // positions, the latest first
	}{
		"all":      {&auditv1.ListAuditRecordsRequest{}, []int64{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		"actor":    {&auditv1.ListAuditRecordsRequest{Actor: "iss|b"}, []int64{12, 10, 8, 6, 4, 2}},
		"action":   {&auditv1.ListAuditRecordsRequest{Action: "/x/C"}, []int64{12, 9, 6, 3}},
		"object":   {&auditv1.ListAuditRecordsRequest{ObjectId: objects[6].String()}, []int64{7}},
		"customer": {&auditv1.ListAuditRecordsRequest{CustomerId: objects[0].String()}, []int64{9, 5, 1}},
		"right":    {&auditv1.ListAuditRecordsRequest{Right: "grant:1"}, []int64{12, 11, 8, 7, 4, 3}},
		"time": {&auditv1.ListAuditRecordsRequest{
			TimeFrom: timestamppb.New(began.Add(2 * time.Minute)), TimeTo: timestamppb.New(began.Add(5 * time.Minute))}, []int64{5, 4, 3}},
		"together": {&auditv1.ListAuditRecordsRequest{Actor: "iss|a", Right: "grant:1", TimeFrom: timestamppb.New(began.Add(5 * time.Minute))}, []int64{11, 7}},
		"address":  {&auditv1.ListAuditRecordsRequest{Address: "203.0.113.7"}, []int64{9, 5, 1}},
		"network":  {&auditv1.ListAuditRecordsRequest{Address: "2001:db8:1::/48"}, []int64{11, 7, 3}},
		"in it":    {&auditv1.ListAuditRecordsRequest{Address: "198.51.100.9/24"}, []int64{10, 6, 2}},
		"nothing":  {&auditv1.ListAuditRecordsRequest{Actor: "iss|c"}, nil},
	} {
		c.req.Source, c.req.PageSize = "complaint", 2
		var got []int64
		for {
			page, err := client.ListAuditRecords(s.As("auditor"), c.req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, r := range page.GetAuditRecords() {
				if !r.GetIntact() || len(r.GetChangesHash()) != 32 {
					t.Errorf("%s: %v", name, r)
				}
				got = append(got, r.GetPosition())
			}
			if c.req.PageToken = page.GetNextPageToken(); c.req.GetPageToken() == "" {
				break
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: positions %d, expected %d", name, got, c.want)
		}
	}
}

func TestReadingTheTrailIsInIt(t *testing.T) {
	s, client, _ := trailed(t, 1)
	req := &auditv1.ListAuditRecordsRequest{Source: "complaint", Actor: "iss|a"}
	if _, err := client.ListAuditRecords(s.As("auditor"), req); err != nil {
		t.Fatal(err)
	}
	linkIn(t, s, s.Process.Keyring.Derive(audit.KeyLabel))
	page, err := client.ListAuditRecords(s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", Action: auditv1.AuditService_ListAuditRecords_FullMethodName})
	if err != nil || len(page.GetAuditRecords()) != 1 {
		t.Fatalf("the reading: %v, %v", page, err)
	}
	r := page.GetAuditRecords()[0]
	if r.GetObjectType() != "audit_trail" || r.GetRight() != "role:auditor/auditrecords.read" || r.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_PERSON || !r.GetIntact() {
		t.Errorf("the reading left %v", r)
	}
	if hash, err := audit.HashChanges(s.Process.Keyring.Derive(audit.KeyLabel), req); err != nil || string(hash) != string(r.GetChangesHash()) {
		t.Errorf("what was asked for does not confirm: %v", err)
	}
}

func TestARecordThatWasEditedIsNotIntact(t *testing.T) {
	s, client, _ := trailed(t, 3)
	if _, err := s.DB.Owner(t).Exec(t.Context(), `UPDATE audit_records SET request_id = 'other' WHERE id = (SELECT audit_id FROM audit_chain WHERE position = 2)`); err != nil {
		t.Fatal(err)
	}
	page, err := client.ListAuditRecords(s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.GetAuditRecords() {
		if r.GetIntact() != (r.GetPosition() != 2) {
			t.Errorf("position %d: intact is %v", r.GetPosition(), r.GetIntact())
		}
	}
}

func TestListAuditRecordsRefuses(t *testing.T) {
	s, client, _ := trailed(t, 3)
	first, err := client.ListAuditRecords(s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		req  *auditv1.ListAuditRecordsRequest
		code codes.Code
		says string
	}{
		"no source":           {s.As("auditor"), &auditv1.ListAuditRecordsRequest{}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"an unknown source":   {s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "ledger"}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"another's trail":     {s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "survey"}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"no UUID":             {s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", ObjectId: "x"}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"no address":          {s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", Address: "203.0.113"}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"a page too large":    {s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", PageSize: 501}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"another list's page": {s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", Actor: "x", PageToken: first.GetNextPageToken()}, codes.InvalidArgument, rpcerr.ReasonValidation},
		"a manager":           {s.As("manager"), &auditv1.ListAuditRecordsRequest{Source: "complaint"}, codes.PermissionDenied, authz.ReasonDenied},
		"nobody":              {s.AsPublic(), &auditv1.ListAuditRecordsRequest{Source: "complaint"}, codes.Unauthenticated, ""},
	} {
		_, err := client.ListAuditRecords(c.ctx, c.req)
		if status.Code(err) != c.code || (c.says != "" && rpcerr.Info(err).GetReason() != c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheTrailIsSearchedByIndex: no filter reads a whole table, however long the trail is.
func TestTheTrailIsSearchedByIndex(t *testing.T) {
	db := testkit.Database(t, app.Migrations()...)
	owner, err := pgx.Connect(t.Context(), db.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if err := audit.Fill(t.Context(), owner, key, 20000); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), `ANALYZE audit_records, audit_chain, audit_search`); err != nil {
		t.Fatal(err)
	}
	explain := func(name, index, sql string, args ...any) {
		t.Helper()
		rows, err := db.Pool.Query(t.Context(), "EXPLAIN "+sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: expected %s and no whole table:\n%s", name, index, plan)
		}
	}
	some := uuid.NewString()
	now := timestamppb.Now()
	for name, c := range map[string]struct {
		req   *auditv1.ListAuditRecordsRequest
		index string
	}{
		"all":      {&auditv1.ListAuditRecordsRequest{}, "audit_search_time_idx"},
		"time":     {&auditv1.ListAuditRecordsRequest{TimeFrom: now, TimeTo: now}, "audit_search_time_idx"},
		"actor":    {&auditv1.ListAuditRecordsRequest{Actor: "issuer|nobody"}, "audit_search_actor_idx"},
		"action":   {&auditv1.ListAuditRecordsRequest{Action: "/kefu.Things/Other"}, "audit_search_action_idx"},
		"object":   {&auditv1.ListAuditRecordsRequest{ObjectId: some}, "audit_search_object_id_idx"},
		"customer": {&auditv1.ListAuditRecordsRequest{CustomerId: some}, "audit_search_customer_id_idx"},
		"right":    {&auditv1.ListAuditRecordsRequest{Right: "grant:1"}, "audit_search_access_right_idx"},
		"address":  {&auditv1.ListAuditRecordsRequest{Address: "192.0.2.1"}, "audit_search_address_idx"},
	} {
		for _, cursor := range []string{"", "1793502000000000/17"} {
			sql, args, err := audit.SearchSQL(c.req, cursor)
			if err != nil {
				t.Fatal(err)
			}
			explain(name+" "+cursor, c.index, sql, args...)
		}
	}
	explain("the sequencer's entries", "audit_records_pkey", audit.EnterSearch, []int64{20001, 20002}, []uuid.UUID{uuid.New(), uuid.New()})
	explain("links without entry", "audit_chain_pkey", audit.ReadUnentered, int64(20000), 2000)
	explain("a page of the walk", "audit_chain_pkey", audit.ReadLinks, int64(10000), 200)
}
