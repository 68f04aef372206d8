package server_test

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func orderOf(customer string, o *customerv1.Order) *customerv1.PurchaseRecord {
	return &customerv1.PurchaseRecord{CustomerId: customer, Purchase: &customerv1.PurchaseRecord_Order{Order: o}}
}

func productOf(external string, p *customerv1.InstalledProduct) *customerv1.PurchaseRecord {
	return &customerv1.PurchaseRecord{CustomerExternalId: external, Purchase: &customerv1.PurchaseRecord_InstalledProduct{InstalledProduct: p}}
}

// importOne makes a customer of a source.
func (r *registry) importOne(t *testing.T, source, external string) string {
	t.Helper()
	out, err := r.customers.ImportCustomers(r.admin(), &customerv1.ImportCustomersRequest{Purpose: "first load", Source: source, Records: []*customerv1.CustomerRecord{
		{ExternalId: external, Customer: file("imported " + external)}}})
	if err != nil || out.GetResults()[0].GetId() == "" {
		t.Fatalf("import %v, %v", out, err)
	}
	return out.GetResults()[0].GetId()
}

func outcomesOf(results []*typev1.ImportResult) (out []typev1.ImportOutcome) {
	for _, r := range results {
		out = append(out, r.GetOutcome())
	}
	return out
}

func TestImportPurchases(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	imported := r.importOne(t, "erp", "E-1")
	if _, err := r.upsert(imported, r.order("TAKEN")); err != nil {
		t.Fatal(err)
	}
	before := len(r.Events(t))
	future, faulty := r.order("F"), r.order("Q")
	future.OrderTime, future.ShipTime, faulty.Lines[0].Quantity = r.ago(-1), nil, 0
	req := &customerv1.ImportPurchasesRequest{Source: "erp", Historic: true, Records: []*customerv1.PurchaseRecord{
		orderOf(owner.GetId(), r.order("S-2")),
		productOf("E-1", r.product("SN-1")),
		orderOf(owner.GetId(), future),
		orderOf(owner.GetId(), faulty),
		orderOf(newID(t), r.order("S-3")),
		productOf("E-2", r.product("SN-2")),
		orderOf(owner.GetId(), r.order("TAKEN")),
		{CustomerId: owner.GetId(), CustomerExternalId: "E-1", Purchase: &customerv1.PurchaseRecord_Order{Order: r.order("S-4")}},
		{CustomerId: owner.GetId()},
		orderOf(owner.GetId(), r.order("S-2")),
		orderOf(owner.GetId(), r.order("S-1")),
	}}
	out, err := r.purchases.ImportPurchases(r.erp(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := []typev1.ImportOutcome{created, created, no, no, no, no, no, no, no, exists, created}
	reasons := []string{"", "", "order.order_time", "order.lines[0].quantity", "CUSTOMER_NOT_FOUND", "CUSTOMER_NOT_FOUND", "ORDER_OF_OTHER_CUSTOMER", "customer_id", "purchase", "", ""}
	for i, got := range out.GetResults() {
		if got.GetOutcome() != want[i] {
			t.Errorf("record %d: %v, want %v", i, got, want[i])
		}
		if want[i] == no {
			if f := got.GetRefusals(); len(f) != 1 || f[0].GetReason() != reasons[i] && f[0].GetField() != reasons[i] || f[0].GetMessage() == "" {
				t.Errorf("record %d is refused for %v, want %s", i, f, reasons[i])
			}
		} else if got.GetId() == "" || got.GetNumber() != got.GetExternalId() {
			t.Errorf("record %d: %v", i, got)
		}
	}
	events := r.Events(t)[before:]
	if len(events) != 3 {
		t.Fatalf("%d events, want one for each stored", len(events))
	}
	for _, e := range events {
		if !e.GetHistoric() || e.GetOccurTime().AsTime().After(r.ago(9).AsTime()) {
			t.Errorf("event %v is not history", e)
		}
	}
	again, err := r.purchases.ImportPurchases(r.erp(), req)
	for i, o := range outcomesOf(again.GetResults()) {
		if want[i] != no && o != exists {
			t.Errorf("again, record %d: %v, %v", i, o, err)
		}
	}
	if n := len(r.Events(t)); n != before+3 {
		t.Errorf("%d events after the same again", n-before)
	}
}

func TestImportPurchasesRefuses(t *testing.T) {
	r := start(t)
	_, err := r.purchases.ImportPurchases(r.erp(), &customerv1.ImportPurchasesRequest{Source: "ERP!", Records: []*customerv1.PurchaseRecord{{}}})
	refused(t, "source", err, codes.InvalidArgument, "VALIDATION_FAILED", "source")
	_, err = r.purchases.ImportPurchases(r.erp(), &customerv1.ImportPurchasesRequest{})
	refused(t, "nothing", err, codes.InvalidArgument, "VALIDATION_FAILED", "records")
	_, err = r.purchases.ImportPurchases(r.erp(), &customerv1.ImportPurchasesRequest{Records: make501(r)})
	refused(t, "too many", err, codes.InvalidArgument, "VALIDATION_FAILED", "records")
	_, err = r.purchases.ImportPurchases(r.As(access.Salesperson), &customerv1.ImportPurchasesRequest{})
	refused(t, "no right", err, codes.PermissionDenied, "PERMISSION_DENIED")
	out, err := r.purchases.ImportPurchases(r.erp(), &customerv1.ImportPurchasesRequest{Records: []*customerv1.PurchaseRecord{productOf("E-1", r.product("SN"))}})
	if err != nil || out.GetResults()[0].GetRefusals()[0].GetField() != "customer_external_id" {
		t.Errorf("an external id without a source: %v, %v", out, err)
	}
}

func make501(r *registry) []*customerv1.PurchaseRecord {
	out := make([]*customerv1.PurchaseRecord, 501)
	for i := range out {
		out[i] = orderOf("", r.order("S"))
	}
	return out
}

func TestStreamPurchases(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	stream, err := r.purchases.StreamPurchases(r.erp())
	if err != nil {
		t.Fatal(err)
	}
	send := func(numbers ...string) *customerv1.ImportPurchasesResponse {
		t.Helper()
		req := &customerv1.ImportPurchasesRequest{}
		for _, n := range numbers {
			req.Records = append(req.Records, orderOf(owner.GetId(), r.order(n)))
		}
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := send("S-1", "S-2")
	if got := outcomesOf(first.GetResults()); got[0] != created || got[1] != created {
		t.Errorf("first %v", got)
	}
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 2 {
		t.Errorf("%d orders are committed before the stream ends, want 2", n)
	}
	second := send("S-2", "S-3")
	if got := outcomesOf(second.GetResults()); got[0] != exists || got[1] != created || !proto.Equal(second.GetResults()[0], &typev1.ImportResult{
		ExternalId: "S-2", Outcome: exists, Id: first.GetResults()[1].GetId(), Number: "S-2"}) {
		t.Errorf("second %v", second)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
	// What is no message of the contract ends the stream and undoes nothing.
	bad, err := r.purchases.StreamPurchases(r.erp())
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Send(&customerv1.ImportPurchasesRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = bad.Recv()
	refused(t, "an empty message", err, codes.InvalidArgument, "VALIDATION_FAILED", "records")
	denied, err := r.purchases.StreamPurchases(r.As(access.Salesperson))
	if err == nil {
		_, err = denied.Recv()
	}
	refused(t, "no right", err, codes.PermissionDenied, "PERMISSION_DENIED")
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 3 {
		t.Errorf("%d orders, want 3", n)
	}
}
