package complaint_test

import (
	"testing"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestWhatTheRegistrySaysOfAPurchase(t *testing.T) {
	order, model := complaint.Bought{OrderNumber: "O-1", Quantity: 2}, complaint.Bought{ProductModel: "M-1", Quantity: 2}
	both := complaint.Bought{OrderNumber: "O-1", ProductModel: "M-1", Quantity: 2}
	found := func(order bool, quantity int64, product bool) *customerv1.PurchaseCheck {
		return &customerv1.PurchaseCheck{OrderFound: order, Quantity: quantity, ProductFound: product}
	}
	for name, c := range map[string]struct {
		b     complaint.Bought
		found *customerv1.PurchaseCheck
		want  complaintv1.PurchaseVerdict
	}{
		"nothing named":             {complaint.Bought{Quantity: 2}, nil, complaintv1.PurchaseVerdict_PURCHASE_VERDICT_UNSPECIFIED},
		"nobody to ask":             {both, nil, complaintv1.PurchaseVerdict_PURCHASE_VERDICT_NOT_CHECKED},
		"never bought":              {model, found(false, 0, false), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_PRODUCT_NOT_BOUGHT},
		"bought some time":          {model, found(false, 0, true), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES},
		"no such order":             {both, found(false, 0, true), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_ORDER_UNKNOWN},
		"in another order":          {both, found(true, 0, true), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_PRODUCT_NOT_IN_ORDER},
		"more than ordered":         {both, found(true, 1, true), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_QUANTITY_ABOVE_ORDER},
		"as many as ordered":        {both, found(true, 2, true), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES},
		"an order, and no product":  {order, found(true, 3, false), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES},
		"more than the whole order": {order, found(true, 1, false), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_QUANTITY_ABOVE_ORDER},
		"no quantity, empty order":  {complaint.Bought{OrderNumber: "O-1"}, found(true, 0, false), complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES},
	} {
		if got := complaint.Verdict(c.b, c.found); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
