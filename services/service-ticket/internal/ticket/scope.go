package ticket

import (
	"github.com/google/uuid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// Viewer is who wants to know of tickets, and how far their grant reaches.
type Viewer struct {
	// Customer is zero for everyone else. A customer's reach is their own tickets.
	Customer uuid.UUID
	Scope    accessv1.Scope
	// Actor is how the history names them.
	Actor string
	// Staff and Department are zero where the directory does not know them.
	Staff, Department uuid.UUID
	// Queue tells that they take tickets from the queue: those that nobody has yet, in their
	// department or in none.
	Queue bool
}

// Everything tells whether the viewer may know of every ticket.
func (v Viewer) Everything() bool {
	return v.Customer == uuid.Nil && v.Scope == accessv1.Scope_SCOPE_COMPANY
}

// Team tells whether the tickets of the viewer's department are within reach.
func (v Viewer) Team() bool { return v.Scope == accessv1.Scope_SCOPE_TEAM && v.Department != uuid.Nil }

// Holding is whose a ticket is.
type Holding struct {
	Customer, Assignee, Department uuid.UUID
	// Registrar is whoever registered it, as the history names them.
	Registrar string
	State     State
}

// Covers tells whether a ticket is within the viewer's reach: those that they have or have
// registered, those in the queue, those of the department.
func (v Viewer) Covers(h Holding) bool {
	switch {
	case v.Customer != uuid.Nil:
		return h.Customer == v.Customer
	case v.Scope == accessv1.Scope_SCOPE_UNSPECIFIED:
		return false
	case v.Everything(), v.Actor != "" && h.Registrar == v.Actor, v.Staff != uuid.Nil && h.Assignee == v.Staff, v.Team() && h.Department == v.Department:
		return true
	}
	return v.Queue && Queued(h.State) && h.Assignee == uuid.Nil && (h.Department == uuid.Nil || h.Department == v.Department)
}

// Queued tells the states in which a ticket waits for somebody to take it.
func Queued(s State) bool { return s == New || s == Triaged }
