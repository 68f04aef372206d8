package complaint

import (
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// Bought is what a complaint says the customer bought.
type Bought struct {
	OrderNumber, ProductModel string
	Quantity                  int32
}

// Named tells whether there is anything that could be checked.
func (b Bought) Named() bool { return b.OrderNumber != "" || b.ProductModel != "" }

// Verdict judges what a complaint says by what the registry has; found is nil where it could not
// be asked. A complaint is taken whatever the verdict: customers mistake their numbers.
func Verdict(b Bought, found *customerv1.PurchaseCheck) complaintv1.PurchaseVerdict {
	switch {
	case !b.Named():
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_UNSPECIFIED
	case found == nil:
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_NOT_CHECKED
	case b.OrderNumber == "" && !found.GetProductFound():
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_PRODUCT_NOT_BOUGHT
	case b.OrderNumber == "":
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES
	case !found.GetOrderFound():
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_ORDER_UNKNOWN
	case b.ProductModel != "" && found.GetQuantity() == 0:
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_PRODUCT_NOT_IN_ORDER
	case int64(b.Quantity) > found.GetQuantity():
		return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_QUANTITY_ABOVE_ORDER
	}
	return complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES
}
