package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// A retired file takes no new tickets, whether this service heard of the retirement or asks
// the registry, and takes them again once it is restored.
func TestNoTicketForARetiredCustomer(t *testing.T) {
	w := newWorld(t)
	try := func(id string, phone string) error {
		_, err := w.tickets.CreateTicket(w.manager(), &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
			CustomerId: id, Title: "Pump leaks", Channel: typev1.Channel_CHANNEL_PHONE, Reporter: &ticketv1.Reporter{Phone: phone},
		}})
		return err
	}
	known, asked := w.registered(typev1.Tier_TIER_A), w.registered(typev1.Tier_TIER_A)
	for _, ref := range []*customerv1.CustomerRef{known, asked} {
		ref.Status = customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED
	}
	if _, err := customerref.Apply(t.Context(), w.Pool, known); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{"known": known.GetId(), "asked": asked.GetId()} {
		for _, phone := range []string{"", "138 0013 8000"} {
			if err := try(id, phone); status.Code(err) != codes.FailedPrecondition || rpcerr.Reason(err) != "CUSTOMER_RETIRED" {
				t.Errorf("%s, phone %q: %v", name, phone, err)
			}
		}
	}
	known.Status, known.Version = customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE, 2
	if _, err := customerref.Apply(t.Context(), w.Pool, known); err != nil {
		t.Fatal(err)
	}
	if err := try(known.GetId(), ""); err != nil {
		t.Errorf("a restored customer: %v", err)
	}
}
