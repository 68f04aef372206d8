package disclosure

import (
	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// Visits tells whether a ticket takes its assignee to the customer: repairs, returns and
// installations, from the assignment until they are resolved.
func Visits(kind ticketv1.TicketType, state ticketv1.TicketState) bool {
	switch kind {
	case ticketv1.TicketType_TICKET_TYPE_REPAIR, ticketv1.TicketType_TICKET_TYPE_RETURN,
		ticketv1.TicketType_TICKET_TYPE_INSTALLATION:
	default:
		return false
	}
	switch state {
	case ticketv1.TicketState_TICKET_STATE_ASSIGNED, ticketv1.TicketState_TICKET_STATE_IN_PROGRESS,
		ticketv1.TicketState_TICKET_STATE_WAITING:
		return true
	}
	return false
}

// WithVisit improves what clearance and grants give by the ticket for which the reader goes
// to the customer; zero for none. Like a grant it does not ask for the customer's value, and
// it shows only what leads there: name, address and phones.
func WithVisit(v Verdict, ticket uuid.UUID) Verdict {
	if v.Whole && v.Basis != Refused || ticket == uuid.Nil {
		return v
	}
	return Verdict{Basis: ByVisit, Ticket: ticket}
}
