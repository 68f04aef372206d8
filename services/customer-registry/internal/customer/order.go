package customer

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// CheckOrder judges what single-field rules cannot: the order of its times and
// its amounts. It returns the one currency, empty where no amount is named.
func CheckOrder(o *customerv1.Order, now time.Time) (currency string, faults []Fault) {
	faults = append(faults, notFuture("order_time", o.GetOrderTime(), now)...)
	faults = append(faults, notBefore("ship_time", o.GetShipTime(), "order_time", o.GetOrderTime())...)
	if o.GetShipTime() != nil {
		faults = append(faults, notBefore("delivery_time", o.GetDeliveryTime(), "ship_time", o.GetShipTime())...)
	} else {
		faults = append(faults, notBefore("delivery_time", o.GetDeliveryTime(), "order_time", o.GetOrderTime())...)
	}
	amounts := []amount{{"amount", o.GetAmount(), false}, {"cost", o.GetCost(), false}}
	for i, line := range o.GetLines() {
		amounts = append(amounts,
			amount{fmt.Sprintf("lines[%d].unit_price", i), line.GetUnitPrice(), true},
			amount{fmt.Sprintf("lines[%d].freight", i), line.GetFreight(), true})
	}
	currency, wrong := checkAmounts(amounts)
	return currency, append(faults, wrong...)
}

// CheckInstalledProduct judges the order of a product's times.
func CheckInstalledProduct(p *customerv1.InstalledProduct) []Fault {
	var faults []Fault
	for _, t := range []struct {
		field string
		value *timestamppb.Timestamp
	}{
		{"delivery_time", p.GetDeliveryTime()},
		{"warranty_end_time", p.GetWarrantyEndTime()},
		{"guarantee_end_time", p.GetGuaranteeEndTime()},
	} {
		faults = append(faults, notBefore(t.field, t.value, "ship_time", p.GetShipTime())...)
	}
	return faults
}

// OrderOccurTime is when what an order's event tells happened: a new order when
// it was placed, a change of history at the last thing the source knows of, and
// any other change now.
func OrderOccurTime(o *customerv1.Order, isNew, historic bool, now time.Time) time.Time {
	if !isNew && !historic {
		return now
	}
	at := o.GetOrderTime().AsTime()
	if isNew {
		return at
	}
	for _, t := range []*timestamppb.Timestamp{o.GetShipTime(), o.GetDeliveryTime()} {
		if t != nil && t.AsTime().After(at) && !t.AsTime().After(now) {
			at = t.AsTime()
		}
	}
	return at
}

func notFuture(field string, t *timestamppb.Timestamp, now time.Time) []Fault {
	if t == nil || !t.AsTime().After(now) {
		return nil
	}
	return []Fault{{field, rpcerr.T("it is %[1]s, which is in the future; give %[2]s or earlier",
		"时间为 %[1]s，晚于当前时间；请填写不晚于 %[2]s 的时间", stamp(t.AsTime()), stamp(now))}}
}

func notBefore(field string, t *timestamppb.Timestamp, otherField string, other *timestamppb.Timestamp) []Fault {
	if t == nil || other == nil || !t.AsTime().Before(other.AsTime()) {
		return nil
	}
	return []Fault{{field, rpcerr.T("it is %[1]s, before %[2]s (%[3]s); give that time or a later one",
		"时间为 %[1]s，早于 %[2]s（%[3]s）；请填写不早于该时间的值", stamp(t.AsTime()), otherField, stamp(other.AsTime()))}}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
