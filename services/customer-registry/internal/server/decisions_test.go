package server_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// Senders follow decisions on consent by event, and only those.
func TestADecisionIsTold(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	for _, granted := range []bool{true, false} {
		if _, err := r.customers.SetConsent(r.As(access.CRMSpecialist), consent(made.GetId(), surveys, granted)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.customers.SetTier(r.admin(), r.tier(made.GetId(), 300)); err != nil {
		t.Fatal(err)
	}
	var told []*customerv1.ConsentDecision
	for _, e := range r.Events(t) {
		if e.GetType() != "customer.changed.v1" {
			continue
		}
		payload, err := event.Unpack[*customerv1.CustomerChanged](e)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, payload.GetDecision())
	}
	want := []*customerv1.ConsentDecision{{Purpose: surveys, Granted: true}, {Purpose: surveys}, nil}
	if len(told) != len(want) {
		t.Fatalf("told %v", told)
	}
	for i := range want {
		if !proto.Equal(told[i], want[i]) {
			t.Errorf("event %d tells %v, want %v", i, told[i], want[i])
		}
	}
}
