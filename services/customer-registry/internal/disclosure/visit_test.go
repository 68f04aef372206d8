package disclosure_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

func TestVisits(t *testing.T) {
	kinds := []ticketv1.TicketType{ticketv1.TicketType_TICKET_TYPE_REPAIR, ticketv1.TicketType_TICKET_TYPE_RETURN, ticketv1.TicketType_TICKET_TYPE_INSTALLATION}
	states := []ticketv1.TicketState{ticketv1.TicketState_TICKET_STATE_ASSIGNED, ticketv1.TicketState_TICKET_STATE_IN_PROGRESS, ticketv1.TicketState_TICKET_STATE_WAITING}
	for kind := range ticketv1.TicketType_name {
		for state := range ticketv1.TicketState_name {
			kind, state := ticketv1.TicketType(kind), ticketv1.TicketState(state)
			if got := disclosure.Visits(kind, state); got != (slices.Contains(kinds, kind) && slices.Contains(states, state)) {
				t.Errorf("%v in %v: %v", kind, state, got)
			}
		}
	}
}

func TestWithVisit(t *testing.T) {
	ticket := uuid.New()
	visit := disclosure.Verdict{Basis: disclosure.ByVisit, Ticket: ticket}
	for name, c := range map[string]struct {
		verdict disclosure.Verdict
		ticket  uuid.UUID
		want    disclosure.Verdict
		right   string
	}{
		"refused":          {disclosure.Verdict{}, ticket, visit, "ticket:" + ticket.String()},
		"hidden":           {disclosure.Verdict{Hidden: true}, ticket, visit, "ticket:" + ticket.String()},
		"a grant was had":  {disclosure.Verdict{Grant: disclosure.Grant{ID: ticket}}, ticket, visit, "ticket:" + ticket.String()},
		"masked":           {disclosure.Verdict{Basis: disclosure.ByRole}, ticket, visit, "ticket:" + ticket.String()},
		"shown":            {disclosure.Verdict{Basis: disclosure.ByTeam, Whole: true}, ticket, disclosure.Verdict{Basis: disclosure.ByTeam, Whole: true}, "team/role:x"},
		"refused, no":      {disclosure.Verdict{}, uuid.Nil, disclosure.Verdict{}, "role:x"},
		"masked, no visit": {disclosure.Verdict{Basis: disclosure.ByRole}, uuid.Nil, disclosure.Verdict{Basis: disclosure.ByRole}, "role:x"},
	} {
		got := disclosure.WithVisit(c.verdict, c.ticket)
		if got != c.want || got.Right("role:x") != c.right {
			t.Errorf("%s: %+v by %s, want %+v by %s", name, got, got.Right("role:x"), c.want, c.right)
		}
	}
}
