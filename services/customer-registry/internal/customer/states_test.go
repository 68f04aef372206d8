package customer_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// The states of a contact's values through its life: added, verified, changed, removed.
func TestStatesOfAContactsValues(t *testing.T) {
	added := customer.Origin{Source: customerv1.ValueSource_VALUE_SOURCE_ASKED, Actor: "a", Time: now}
	later := customer.Origin{Source: customerv1.ValueSource_VALUE_SOURCE_SURVEY, Actor: "b", Time: now.Add(time.Hour)}
	c := &customerv1.Contact{Id: "x", Name: "李四", Phone: "+862168881234", PhoneExtension: "12", Email: "l@example.com"}
	kept, faults := customer.Verified(c, added, &customerv1.FieldStates{}, []string{"phone", "email"}, "called", later)
	if len(faults) != 0 || customer.VerifiedPoints(kept) != 2 {
		t.Fatalf("verified %v, %v", kept, faults)
	}
	if s := customer.States(c, added, kept).GetStates(); len(s) != 3 || s[2].GetField() != "phone" || !s[2].GetVerified() ||
		s[2].GetSetter() != "a" || s[2].GetVerifier() != "b" || s[1].GetVerified() || s[1].GetSetter() != "a" {
		t.Errorf("states %v", s)
	}
	if diff := cmp.Diff([]customer.Change{{Field: "verifications.email", After: "called"}}, customer.Verifications(nil, kept, []string{"email"})); diff != "" {
		t.Error(diff)
	}
	next := &customerv1.Contact{Id: "x", Name: "李四", Phone: "+862168881234", PhoneExtension: "13"}
	changes := customer.Diff(c, next)
	if diff := cmp.Diff([]customer.Change{
		{Field: "email", Before: "l@example.com"}, {Field: "phone", Before: "+862168881234;ext=12", After: "+862168881234;ext=13"},
	}, changes); diff != "" {
		t.Error(diff)
	}
	kept = customer.Changed(kept, changes, later)
	if s := customer.States(next, added, kept).GetStates(); customer.VerifiedPoints(kept) != 0 || len(s) != 2 || s[1].GetSetter() != "b" || s[1].GetVerified() {
		t.Errorf("after a change %v", s)
	}
	if _, faults := customer.Verified(next, added, kept, []string{"email"}, "called", later); len(faults) != 1 || faults[0].Field != "fields" {
		t.Errorf("a value that is not there: %v", faults)
	}
}

func TestWordsOfTheHistory(t *testing.T) {
	first := &customerv1.Consent{Purpose: customerv1.ConsentPurpose_CONSENT_PURPOSE_CARE, Granted: true, DecideTime: timestamppb.New(now)}
	second := &customerv1.Consent{Purpose: customerv1.ConsentPurpose_CONSENT_PURPOSE_CARE}
	got := []customer.Change{customer.Decided(nil, first), customer.Decided(first, second)}
	if diff := cmp.Diff([]customer.Change{
		{Field: "consents.care", After: `{"purpose":"CONSENT_PURPOSE_CARE","granted":true,"decideTime":"2026-11-23T09:00:00Z"}`},
		{Field: "consents.care", Before: `{"purpose":"CONSENT_PURPOSE_CARE","granted":true,"decideTime":"2026-11-23T09:00:00Z"}`, After: `{"purpose":"CONSENT_PURPOSE_CARE"}`},
	}, got); diff != "" {
		t.Error(diff)
	}
	at := now
	if customer.TimeText(nil) != "" || customer.TimeText(&at) != `"2026-11-23T09:00:00Z"` {
		t.Errorf("times are %q and %q", customer.TimeText(nil), customer.TimeText(&at))
	}
	lines := func(quantity int32) *customerv1.Order {
		return &customerv1.Order{OrderNumber: "O-1", Lines: []*customerv1.OrderLine{{ProductModel: "M", Quantity: quantity}}}
	}
	if diff := cmp.Diff([]customer.Change{
		{Field: "orders.O-1.lines", Before: `[{"productModel":"M","quantity":1}]`, After: `[{"productModel":"M","quantity":2}]`},
	}, customer.Below("orders.O-1", customer.Diff(lines(1), lines(2)))); diff != "" {
		t.Error(diff)
	}
}
