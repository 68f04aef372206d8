package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// reviewReaders lists all readers of a quarter, page by page.
func (r *registry) reviewReaders(t *testing.T, id string, size int32) (out []*customerv1.ReaderActivity) {
	t.Helper()
	req := &customerv1.ListAccessReviewReadersRequest{Id: id, PageSize: size}
	for {
		page, err := r.reviews.ListAccessReviewReaders(r.As(access.Auditor), req)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.GetReaders()...)
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return out
		}
	}
}

// reviewGrants lists all grants of a quarter, page by page.
func (r *registry) reviewGrants(t *testing.T, id string, size int32) (out []*customerv1.GrantUse) {
	t.Helper()
	req := &customerv1.ListAccessReviewGrantsRequest{Id: id, PageSize: size}
	for {
		page, err := r.reviews.ListAccessReviewGrants(r.As(access.Auditor), req)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.GetGrants()...)
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return out
		}
	}
}

// must fails the test for an error of a call whose answer does not matter.
func must[A any](t *testing.T) func(A, error) A {
	t.Helper()
	return func(a A, err error) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

func TestAReviewListsEveryGrantWithItsLastUse(t *testing.T) {
	r := start(t)
	r.Clock.Set(time.Date(2026, 9, 28, 1, 0, 0, 0, time.UTC))
	key := r.key(t, r.hire(t, "owner", newID(t)))
	agent, boss := r.As(access.ServiceAgent), r.As(access.SalesManager)
	approved := func(ctx context.Context, given *customerv1.AccessRequest) *customerv1.AccessRequest {
		return must[*customerv1.AccessRequest](t)(r.approve(boss, r.ask(t, ctx, given).GetId()))
	}
	over := approved(r.AsStaff(access.ServiceAgent, "early"), &customerv1.AccessRequest{CustomerIds: []string{key.GetId()}, Purpose: "x", Days: 1})
	across := approved(agent, wanting(key.GetId())) // from the third quarter into the fourth
	must[*customerv1.Customer](t)(r.read(agent, key.GetId()))
	r.Clock.Set(time.Date(2026, 10, 2, 1, 0, 0, 0, time.UTC))
	must[*customerv1.Customer](t)(r.read(agent, key.GetId()))
	last := r.Clock.Now()
	unused := approved(r.AsStaff(access.ServiceAgent, "idle"), wanting(key.GetId()))
	must[*customerv1.AccessRequest](t)(r.requests.RevokeAccessRequest(boss, &customerv1.RevokeAccessRequestRequest{Id: unused.GetId(), Reason: "x"}))
	sponsored := wanting(key.GetId())
	sponsored.Outsider = &customerv1.Outsider{Name: "赵六", Organisation: "质监局", IdentityCheck: "work card seen"}
	outside := approved(agent, sponsored)
	must[*customerv1.AccessExtract](t)(r.requests.ExtractAccessRequest(agent, &customerv1.ExtractAccessRequestRequest{Id: outside.GetId()}))
	opened := r.breakGlass(t, r.AsStaff(access.ServiceAgent, "urgent"), key.GetId())
	must[*customerv1.Customer](t)(r.read(r.AsStaff(access.ServiceAgent, "urgent"), key.GetId()))
	r.ask(t, agent, wanting(key.GetId())) // asked and not granted
	r.fileReads(t)

	got := map[string]*customerv1.GrantUse{}
	list := r.reviewGrants(t, "2026-q4", 1)
	for _, g := range list {
		got[g.GetId()] = g
	}
	if len(list) != 4 || len(got) != 4 || got[over.GetId()] != nil || r.review(t, "2026-q4").GetGrantCount() != 4 {
		t.Fatalf("%d grants of the quarter: %v", len(list), list)
	}
	if !slices.IsSortedFunc(list, func(a, b *customerv1.GrantUse) int { return strings.Compare(b.GetId(), a.GetId()) }) {
		t.Error("the latest does not stand first")
	}
	if g := got[across.GetId()]; g.GetUses() != 1 || !g.GetLastUseTime().AsTime().Equal(last) || g.GetBreakGlass() || !strings.HasSuffix(g.GetHolder(), "|tester-service-agent") ||
		!strings.HasSuffix(g.GetDecider(), "|tester-sales-manager") || !slices.Equal(g.GetCustomerIds(), []string{key.GetId()}) {
		t.Errorf("the grant from the quarter before: %v", g)
	}
	if g := got[unused.GetId()]; g.GetUses() != 0 || g.GetLastUseTime() != nil || !g.GetRevoked() {
		t.Errorf("the unused grant: %v", g)
	}
	if g := got[outside.GetId()]; !g.GetOutsider() || g.GetUses() != 1 || g.GetLastUseTime() == nil {
		t.Errorf("the grant for somebody outside: %v", g)
	}
	if g := got[opened.GetId()]; !g.GetBreakGlass() || g.GetUses() != 1 || g.GetDecider() != "" {
		t.Errorf("the emergency: %v", g)
	}
	before := r.reviewGrants(t, "2026-q3", 500)
	if len(before) != 2 || before[0].GetId() != across.GetId() || before[0].GetUses() != 1 || before[1].GetUses() != 0 {
		t.Errorf("of the quarter before: %v", before)
	}
	// Reads of before a read kept its right count by holder, customer and time.
	must[pgconn.CommandTag](t)(r.Pool.Exec(t.Context(), `UPDATE file_reads SET access_right = ''`))
	if again := r.reviewGrants(t, "2026-q3", 500); !proto.Equal(again[0], before[0]) {
		t.Errorf("without the right %v, with it %v", again[0], before[0])
	}
}

func TestAReviewListsEveryReaderWithClearancesAndLastRead(t *testing.T) {
	r := start(t)
	r.Clock.Set(time.Date(2026, 12, 30, 1, 0, 0, 0, time.UTC))
	made, key := r.make(t, full()), r.key(t, r.hire(t, "owner", newID(t)))
	owner := r.AsStaff(access.CRMSpecialist, "owner")
	must[*customerv1.Customer](t)(r.read(owner, made.GetId()))
	r.Clock.Advance(time.Hour)
	must[*customerv1.Customer](t)(r.read(owner, key.GetId()))
	last := r.Clock.Now()
	r.fileReads(t)
	// 501 more, of whom no review may lose one.
	must[pgconn.CommandTag](t)(r.Pool.Exec(t.Context(), `INSERT INTO file_reads (id, read_time, reader, customer_id, basis)
SELECT gen_random_uuid(), $1, 'iss|reader-' || lpad(n::text, 3, '0'), $2, 1 FROM generate_series(1, 501) AS n`, last, made.GetId()))
	got := r.review(t, "2026-q4")
	if len(got.GetReaders()) != 500 || got.GetReaderCount() != 502 || got.GetReaders()[0].GetReads() != 2 || got.GetReaders()[0].GetClearances() != nil {
		t.Fatalf("%d of %d readers, first %v", len(got.GetReaders()), got.GetReaderCount(), got.GetReaders()[0])
	}
	check := func(when string) {
		t.Helper()
		all := r.reviewReaders(t, "2026-q4", 100)
		seen := map[string]*customerv1.ReaderActivity{}
		for _, a := range all {
			seen[a.GetReader()[strings.LastIndex(a.GetReader(), "|")+1:]] = a
		}
		if len(all) != 502 || len(seen) != 502 || seen["reader-501"] == nil {
			t.Fatalf("%s: %d readers listed, %d different", when, len(all), len(seen))
		}
		a := seen["owner"]
		if !a.GetLastReadTime().AsTime().Equal(last) || len(a.GetClearances()) != 2 {
			t.Fatalf("%s: the owner: %v", when, a)
		}
		role, team := a.GetClearances()[0], a.GetClearances()[1]
		if role.GetRight() != "role:crm-specialist/customers.read" || role.GetReads() != 1 || !role.GetLastUseTime().AsTime().Equal(last.Add(-time.Hour)) ||
			team.GetRight() != "team/"+role.GetRight() || !team.GetLastUseTime().AsTime().Equal(last) {
			t.Errorf("%s: the owner's clearances: %v, %v", when, role, team)
		}
	}
	check("before it is signed")
	r.Clock.Advance(48 * time.Hour)
	signed := must[*customerv1.AccessReview](t)(r.sign(r.As(access.Auditor), "2026-q4"))
	if len(signed.GetReaders()) != 500 || signed.GetReaderCount() != 502 {
		t.Errorf("the answer has %d of %d readers", len(signed.GetReaders()), signed.GetReaderCount())
	}
	must[pgconn.CommandTag](t)(r.Pool.Exec(t.Context(), `DELETE FROM file_reads`))
	check("after it was signed")
}

// Whoever the review is about does not sign it, by whatever part they took.
func TestNobodySignsAReviewOfThemselves(t *testing.T) {
	r := start(t)
	r.Clock.Set(time.Date(2026, 9, 29, 1, 0, 0, 0, time.UTC))
	made, key := r.make(t, full()), r.key(t, r.hire(t, "owner", newID(t)))
	both := func(subject, role string) context.Context { return r.AsPerson(subject, role, access.Auditor) }
	granted := r.ask(t, both("asker", access.ServiceAgent), wanting(key.GetId()))
	must[*customerv1.AccessRequest](t)(r.approve(both("decider", access.SalesManager), granted.GetId()))
	opened := r.breakGlass(t, both("opener", access.ServiceAgent), key.GetId())
	must[*customerv1.BreakGlass](t)(r.glasses.ReviewBreakGlass(both("reviewer", access.SalesManager), review(opened.GetId())))
	must[*customerv1.UnmaskedValue](t)(r.customers.UnmaskCustomer(both("unmasker", access.ServiceAgent), unmask(made.GetId(), thePhone)))
	must[*customerv1.Customer](t)(r.read(both("reader", access.ServiceAgent), made.GetId()))
	r.fileReads(t)
	r.Clock.Set(time.Date(2027, 1, 2, 1, 0, 0, 0, time.UTC))
	part := map[string][]string{
		"2026-q3": {"asker", "decider", "opener", "reviewer", "unmasker", "reader"},
		"2026-q4": {"asker", "decider"}, // the grant lasted into it
	}
	for quarter, people := range part {
		for _, who := range people {
			_, err := r.sign(r.AsPerson(who, access.Auditor), quarter)
			refused(t, who+" signs "+quarter, err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
		}
	}
	must[*customerv1.AccessReview](t)(r.sign(r.AsPerson("reader", access.Auditor), "2026-q4"))
	must[*customerv1.AccessReview](t)(r.sign(r.AsPerson("somebody else", access.Auditor), "2026-q3"))
}

// due lists the unsigned quarters as "2026-q3 overdue".
func (r *registry) due(t *testing.T, size int32) string {
	t.Helper()
	req := &customerv1.ListDueAccessReviewsRequest{PageSize: size}
	var out []string
	for {
		page, err := r.reviews.ListDueAccessReviews(r.As(access.Auditor), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.GetAccessReviews() {
			text := d.GetId()
			if d.GetOverdue() {
				text += " overdue"
			}
			if want := d.GetEndTime().AsTime().AddDate(0, 0, 30); !d.GetDueTime().AsTime().Equal(want) {
				t.Errorf("%s is due %s, want %s", d.GetId(), d.GetDueTime().AsTime(), want)
			}
			out = append(out, text)
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return strings.Join(out, ", ")
		}
	}
}

// toldReviews are the events of reviews as "overdue 2026-q3 1".
func (r *registry) toldReviews(t *testing.T) (out []string) {
	t.Helper()
	for _, e := range r.Events(t) {
		if kind, ok := strings.CutPrefix(e.GetType(), "accessreview."); ok {
			told := new(customerv1.AccessReviewTold)
			if err := e.GetPayload().UnmarshalTo(told); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %s %d", strings.TrimSuffix(kind, ".v1"), told.GetQuarter(), e.GetSubjectVersion()))
		}
	}
	return out
}

func TestAnUnsignedQuarterIsFlaggedAndToldOnce(t *testing.T) {
	r := start(t)
	tell := func() {
		t.Helper()
		var wg sync.WaitGroup
		for range 4 { // as replicas do
			wg.Go(func() {
				if err := r.TellAccessReviews(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	r.Clock.Set(time.Date(2026, 8, 1, 1, 0, 0, 0, time.UTC))
	tell()
	if got := r.due(t, 0); got != "" {
		t.Errorf("where nothing was read %q is due", got)
	}
	must[*customerv1.Customer](t)(r.read(r.As(access.ServiceAgent), r.make(t, full()).GetId()))
	r.fileReads(t)
	zone := shanghai(t)
	r.Clock.Set(time.Date(2026, 10, 30, 23, 59, 59, 0, zone))
	tell()
	if got := r.due(t, 0); got != "2026-q3" || len(r.toldReviews(t)) != 0 {
		t.Errorf("before the due time: %q, told %v", got, r.toldReviews(t))
	}
	r.Clock.Advance(time.Second)
	tell()
	tell()
	if got, told := r.due(t, 0), r.toldReviews(t); got != "2026-q3 overdue" || !slices.Equal(told, []string{"overdue 2026-q3 1"}) {
		t.Errorf("at the due time: %q, told %v", got, told)
	}
	r.Clock.Set(time.Date(2027, 4, 1, 9, 0, 0, 0, zone))
	if got := r.due(t, 1); got != "2027-q1, 2026-q4 overdue, 2026-q3 overdue" {
		t.Errorf("later: %q", got)
	}
	for _, quarter := range []string{"2026-q3", "2026-q4", "2027-q1"} {
		must[*customerv1.AccessReview](t)(r.sign(r.As(access.Auditor), quarter))
	}
	tell()
	want := []string{"overdue 2026-q3 1", "signed 2026-q3 2", "signed 2026-q4 1", "signed 2027-q1 1"}
	if got, told := r.due(t, 0), r.toldReviews(t); got != "" || !slices.Equal(told, want) {
		t.Errorf("after the signatures: %q, told %v, want %v", got, told, want)
	}
}

func TestListsOfAReviewRefuse(t *testing.T) {
	r := start(t)
	r.Clock.Set(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC))
	auditor := r.As(access.Auditor)
	for _, id := range []string{"2027-q1", "2026-q5"} {
		_, err := r.reviews.ListAccessReviewReaders(auditor, &customerv1.ListAccessReviewReadersRequest{Id: id})
		refused(t, "readers of "+id, err, codes.NotFound, "ACCESS_REVIEW_NOT_FOUND")
		_, err = r.reviews.ListAccessReviewGrants(auditor, &customerv1.ListAccessReviewGrantsRequest{Id: id})
		refused(t, "grants of "+id, err, codes.NotFound, "ACCESS_REVIEW_NOT_FOUND")
	}
	_, err := r.reviews.ListAccessReviewReaders(auditor, &customerv1.ListAccessReviewReadersRequest{Id: "2026-q4", PageSize: 501})
	refused(t, "a page too large", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_size")
	_, err = r.reviews.ListAccessReviewGrants(auditor, &customerv1.ListAccessReviewGrantsRequest{Id: "2026-q4", PageToken: "x"})
	refused(t, "no token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	_, err = r.reviews.ListDueAccessReviews(auditor, &customerv1.ListDueAccessReviewsRequest{PageSize: 101})
	refused(t, "a page of quarters too large", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_size")
}
