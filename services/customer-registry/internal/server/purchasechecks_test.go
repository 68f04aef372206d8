package server_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// The complaint service learns whether a customer bought what a complaint names, and nothing of
// what others bought; people and other services do not ask this way.
func TestCheckPurchase(t *testing.T) {
	r := start(t)
	api := customerv1.NewPurchaseCheckServiceClient(r.Conn)
	owner, other := r.make(t, full()).GetId(), r.make(t, full()).GetId()
	made, err := r.upsert(owner, r.order("S-1"))
	if err != nil {
		t.Fatal(err)
	}
	found := func(quantity int64, product bool) *customerv1.PurchaseCheck {
		return &customerv1.PurchaseCheck{
			OrderFound: true, OrderTime: made.GetOrderTime(), ShipTime: made.GetShipTime(), Quantity: quantity, ProductFound: product,
		}
	}
	for name, c := range map[string]struct {
		customer, order, product string
		want                     *customerv1.PurchaseCheck
	}{
		"the order":              {owner, "S-1", "", found(3, false)},
		"a product of it":        {owner, "S-1", "M-1", found(2, true)},
		"a product not of it":    {owner, "S-1", "M-9", found(0, false)},
		"a product in no order":  {owner, "", "M-9", &customerv1.PurchaseCheck{}},
		"a product alone":        {owner, "", "M-2", &customerv1.PurchaseCheck{ProductFound: true}},
		"no such order":          {owner, "S-2", "M-1", &customerv1.PurchaseCheck{ProductFound: true}},
		"another's order":        {other, "S-1", "M-1", &customerv1.PurchaseCheck{}},
		"a customer not known":   {newID(t), "S-1", "", &customerv1.PurchaseCheck{}},
		"another's product":      {other, "", "M-1", &customerv1.PurchaseCheck{}},
		"a part of a model name": {owner, "", "M-", &customerv1.PurchaseCheck{}},
	} {
		req := &customerv1.CheckPurchaseRequest{CustomerId: c.customer, OrderNumber: c.order, ProductModel: c.product}
		got, err := api.CheckPurchase(r.AsService("complaint"), req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	_, err = api.CheckPurchase(r.AsService("complaint"), &customerv1.CheckPurchaseRequest{CustomerId: owner})
	if rpcerr.Reason(err) != "VALIDATION_FAILED" {
		t.Errorf("nothing named: %v", err)
	}
	for _, name := range []string{"survey", "service-ticket"} {
		_, err := api.CheckPurchase(r.AsService(name), &customerv1.CheckPurchaseRequest{CustomerId: owner, OrderNumber: "S-1"})
		if code := status.Code(err); code != codes.PermissionDenied {
			t.Errorf("%s asks: %v", name, err)
		}
	}
	if _, err := api.CheckPurchase(r.admin(), &customerv1.CheckPurchaseRequest{CustomerId: owner, OrderNumber: "S-1"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a person asks: %v", err)
	}
}
