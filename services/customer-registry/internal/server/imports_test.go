package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	created = typev1.ImportOutcome_IMPORT_OUTCOME_CREATED
	exists  = typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS
	no      = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED
)

func record(id string) *customerv1.CustomerRecord {
	return &customerv1.CustomerRecord{
		ExternalId: id, Customer: full(),
		CreateTime: timestamppb.New(time.Date(2019, 3, 4, 5, 6, 7, 0, time.UTC)),
	}
}

func (r *registry) load(t *testing.T, records ...*customerv1.CustomerRecord) []*typev1.ImportResult {
	t.Helper()
	out, err := r.customers.ImportCustomers(r.admin(), &customerv1.ImportCustomersRequest{Purpose: "first load", Source: "erp", Records: records})
	if err != nil {
		t.Fatalf("ImportCustomers: %v", err)
	}
	if len(out.GetResults()) != len(records) {
		t.Fatalf("%d results of %d records", len(out.GetResults()), len(records))
	}
	return out.GetResults()
}

func TestImportCustomers(t *testing.T) {
	r := start(t)
	unknownTime := record("3")
	unknownTime.CreateTime = nil
	results := r.load(t, record("1"), record("2"), unknownTime, record("1"))
	for i, want := range []typev1.ImportOutcome{created, created, created, exists} {
		if results[i].GetOutcome() != want || results[i].GetId() == "" || results[i].GetNumber() == "" || results[i].GetExternalId() == "" {
			t.Errorf("record %d: %v, want %v", i, results[i], want)
		}
	}
	if results[3].GetId() != results[0].GetId() || results[3].GetNumber() != results[0].GetNumber() {
		t.Errorf("the repeated record is %v, want that of %v", results[3], results[0])
	}
	got := r.get(t, results[0].GetId())
	if !strings.HasPrefix(got.GetNumber(), "C-201903-") || !got.GetCreateTime().AsTime().Equal(record("1").GetCreateTime().AsTime()) ||
		got.GetPhone() != "+8613800138000" || got.GetAddress().GetCity() != "武汉" {
		t.Errorf("imported %v", got)
	}
	if got := r.get(t, results[2].GetId()); !got.GetCreateTime().AsTime().Equal(r.Clock.Now()) {
		t.Errorf("without a time of the source: %v", got.GetCreateTime().AsTime())
	}
	events := r.Events(t)
	if len(events) != 3 || !events[0].GetHistoric() || !events[0].GetOccurTime().AsTime().Equal(got.GetCreateTime().AsTime()) {
		t.Errorf("%d events, the first %v", len(events), events[0])
	}
	again := r.load(t, record("2"), record("4"))
	if again[0].GetOutcome() != exists || again[0].GetId() != results[1].GetId() || again[1].GetOutcome() != created {
		t.Errorf("a second import: %v", again)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'customer' AND action LIKE '%ImportCustomers'`); n != 4 {
		t.Errorf("%d audit records, want one a customer", n)
	}
	nothing := r.load(t, record("2"))
	if nothing[0].GetOutcome() != exists || len(r.Events(t)) != 4 {
		t.Errorf("an import that changes nothing: %v", nothing)
	}
}

func TestImportRefusesRecordsAlone(t *testing.T) {
	r := start(t)
	bad := []*customerv1.CustomerRecord{
		record(""), record("b"), record("c"), record("d"), record("e"), record("f"), record("g"),
	}
	bad[1].Customer = nil
	bad[2].Customer.Phone = "12"
	bad[3].Customer.Email = "nobody"
	bad[4].Customer.Name = strings.Repeat("长", 201)
	bad[5].CreateTime = timestamppb.New(r.Clock.Now().Add(time.Hour))
	bad[6].Customer.Phone, bad[6].Customer.Email = "12", "nobody"
	results := r.load(t, append(bad, record("good"))...)
	for i, fields := range [][]string{
		{"external_id"}, {"customer"}, {"customer.phone"}, {"customer.email"}, {"customer.name"}, {"create_time"},
		{"customer.phone", "customer.email"},
	} {
		got := results[i]
		if got.GetOutcome() != no || got.GetId() != "" || got.GetNumber() != "" || len(got.GetRefusals()) != len(fields) {
			t.Errorf("record %d: %v, want it refused for %v", i, got, fields)
			continue
		}
		for j, f := range fields {
			if got.GetRefusals()[j].GetField() != f || got.GetRefusals()[j].GetReason() != "VALIDATION_FAILED" || got.GetRefusals()[j].GetMessage() == "" {
				t.Errorf("record %d: %v, want %s", i, got.GetRefusals()[j], f)
			}
		}
	}
	if results[7].GetOutcome() != created {
		t.Errorf("the good record: %v", results[7])
	}
	if n := r.count(t, `SELECT count(*) FROM customers`) + r.count(t, `SELECT count(*) FROM subject_keys`); n != 2 {
		t.Errorf("%d customers and keys, want one of each", n)
	}
	if all := r.load(t, bad[0]); all[0].GetOutcome() != no {
		t.Errorf("an import of refused records alone: %v", all)
	}
}

func TestImportRefuses(t *testing.T) {
	r := start(t)
	many := make([]*customerv1.CustomerRecord, 501)
	for i := range many {
		many[i] = record(fmt.Sprint(i))
	}
	for name, req := range map[string]*customerv1.ImportCustomersRequest{
		"source":  {Purpose: "first load", Source: "ERP 1", Records: []*customerv1.CustomerRecord{record("1")}},
		"records": {Purpose: "first load", Source: "erp"},
		"purpose": {Source: "erp", Records: []*customerv1.CustomerRecord{record("1")}},
	} {
		_, err := r.customers.ImportCustomers(r.admin(), req)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", name)
	}
	_, err := r.customers.ImportCustomers(r.admin(), &customerv1.ImportCustomersRequest{Purpose: "first load", Source: "erp", Records: many})
	refused(t, "too many", err, codes.InvalidArgument, "VALIDATION_FAILED", "records")
	_, err = r.customers.ImportCustomers(r.As(access.CRMSpecialist), &customerv1.ImportCustomersRequest{Purpose: "first load", Source: "erp", Records: many[:1]})
	refused(t, "crm", err, codes.PermissionDenied, "PERMISSION_DENIED")
}

func TestImportOf500IsQuickAndRepeatable(t *testing.T) {
	r := start(t)
	req := &customerv1.ImportCustomersRequest{Purpose: "first load", Source: "erp", RequestId: "batch-1"}
	for i := range 500 {
		req.Records = append(req.Records, record(fmt.Sprint(i)))
	}
	began := time.Now()
	first, err := r.customers.ImportCustomers(r.admin(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("500 records in %v", time.Since(began))
	second, err := r.customers.ImportCustomers(r.admin(), req)
	if err != nil || !proto.Equal(first, second) {
		t.Errorf("the same call again: %v", err)
	}
	if n := r.count(t, `SELECT count(*) FROM customer_summaries`); n != 500 {
		t.Errorf("%d summaries, want 500", n)
	}
}

func TestImportRace(t *testing.T) {
	r := start(t)
	var wg sync.WaitGroup
	results := make([][]*typev1.ImportResult, 6)
	for i := range results {
		wg.Go(func() { results[i] = r.load(t, record("x"), record("y")) })
	}
	wg.Wait()
	made := 0
	for _, res := range results {
		for j := range res {
			if res[j].GetOutcome() == created {
				made++
			}
			if res[j].GetId() != results[0][j].GetId() {
				t.Errorf("two ids of one record: %v and %v", res[j], results[0][j])
			}
		}
	}
	if n := r.count(t, `SELECT count(*) FROM customers`); made != 2 || n != 2 {
		t.Errorf("%d made, %d stored, want 2", made, n)
	}
}
