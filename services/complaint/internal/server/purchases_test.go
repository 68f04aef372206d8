package server_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

// Order and product are checked at registration; what did not match, or could not be asked, is
// asked again at review; nobody is kept from complaining, and customers do not see what was found.
func TestAPurchaseIsChecked(t *testing.T) {
	w := newWorld(t)
	ordered := timestamppb.New(w.Clock.Now().Add(-240 * time.Hour))
	shipped := timestamppb.New(w.Clock.Now().Add(-200 * time.Hour))
	product := func(c *complaintv1.Complaint) { c.ProductModel = "M-1" }
	c := w.create(product) // the registry does not answer
	if got := c.GetPurchase().GetVerdict(); got != complaintv1.PurchaseVerdict_PURCHASE_VERDICT_NOT_CHECKED {
		t.Errorf("without a registry: %v", got)
	}
	w.registry.bought = &customerv1.PurchaseCheck{OrderFound: true, OrderTime: ordered, ShipTime: shipped, Quantity: 1}
	w.on(c, complaint.Submitted, "tech")
	w.Clock.Advance(time.Minute)
	c = w.on(c, complaint.Reviewed, "tech")
	want := &complaintv1.Purchase{
		Verdict: complaintv1.PurchaseVerdict_PURCHASE_VERDICT_QUANTITY_ABOVE_ORDER, OrderTime: ordered, ShipTime: shipped,
		OrderedQuantity: 1, CheckTime: timestamppb.New(w.Clock.Now()),
	}
	if diff := cmp.Diff(want, c.GetPurchase(), protocmp.Transform()); diff != "" {
		t.Errorf("asked again: %s", diff)
	}
	ask := w.registry.asked[len(w.registry.asked)-1]
	if ask.GetCustomerId() != c.GetCustomerId() || ask.GetOrderNumber() != "O-17" || ask.GetProductModel() != "M-1" {
		t.Errorf("asked for %v", ask)
	}
	w.registry.bought.Quantity = 2
	asked := len(w.registry.asked)
	c = w.on(w.create(product), complaint.Reviewed, "tech")
	if got := c.GetPurchase().GetVerdict(); got != complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES || len(w.registry.asked) != asked+1 {
		t.Errorf("%v after %d questions", got, len(w.registry.asked)-asked)
	}
	own := must[*complaintv1.Complaint](w)(w.client.GetComplaint(w.AsCustomer(c.GetCustomerId()), &complaintv1.GetComplaintRequest{Id: c.GetId()}))
	if own.GetPurchase() != nil {
		t.Errorf("the customer sees %v", own.GetPurchase())
	}
	none := w.create(func(c *complaintv1.Complaint) { c.OrderNumber = "" })
	if none.GetPurchase() != nil || len(w.registry.asked) != asked+1 {
		t.Errorf("nothing is named: %v", none.GetPurchase())
	}
}

// What the customer demands, the ticket and the survey answer it came from are kept as given.
func TestDemandAndLinksAreKept(t *testing.T) {
	w := newWorld(t)
	survey := newID(t).String()
	c := w.create(func(c *complaintv1.Complaint) {
		c.Demanded, c.SurveyAnswerId = complaintv1.Remedy_REMEDY_REPLACEMENT, survey
	})
	got := w.get("boss", c.GetId())
	if got.GetDemanded() != complaintv1.Remedy_REMEDY_REPLACEMENT || got.GetSurveyAnswerId() != survey || got.GetTicketId() != c.GetTicketId() || got.GetTicketId() == "" {
		t.Errorf("kept %v", got)
	}
}
