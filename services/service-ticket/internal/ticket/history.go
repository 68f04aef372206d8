package ticket

import (
	"slices"
	"time"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/policy"
)

// Moved is one recorded move with what clocks go by.
type Moved struct {
	Verb     Verb
	From, To State
	At       time.Time
	// Assignee after the move.
	Assignee uuid.UUID
	WaitFor  ticketv1.WaitFor
}

// History is what happened to a past ticket.
type History struct {
	// Create and Resolve are those of the ticket; Resolve is that of the present round.
	Create, Resolve time.Time
	// Moves in their order.
	Moves []Moved
	// Replies are public ones by staff, Contacts two-way ones.
	Replies, Contacts []time.Time
}

// UntoldByImports are events that the source of an imported ticket does not tell of.
func UntoldByImports() []string {
	return []string{EventAssigned, EventReplied, EventFollowedUp, EventContacted, EventResponded}
}

// Events gives what starts, stops and ends the clocks of the ticket, in order, those of one
// instant as the live clocks take them.
func (h *History) Events() []policy.Event {
	var out []policy.Event
	add := func(at time.Time, names ...string) {
		for _, name := range names {
			out = append(out, policy.Event{Name: name, At: at})
		}
	}
	resolve := func(at time.Time) {
		out = append(out, policy.Event{Name: EventResolved, At: at, Ends: true, For: OnResolve()})
	}
	assignee := uuid.Nil
	for i, m := range h.Moves {
		switch m.Verb {
		case Create:
			add(m.At, EventCreated, EventOpened)
		case Import:
			add(h.Create, EventCreated, EventOpened)
			switch m.To {
			case Resolved, Closed:
				resolve(h.importedResolve(m.At))
			case Cancelled:
				out = append(out, policy.Event{At: m.At, Ends: true})
			}
		case Assign, HandOver:
			// Whoever takes over a ticket that waits goes on with its clocks.
			if m.Assignee != assignee && m.To != Waiting {
				add(m.At, EventAssigned)
			}
			assignee = m.Assignee
		case Release:
			assignee = uuid.Nil
		case Resolve:
			resolve(m.At)
		case Reopen:
			add(m.At, EventOpened)
		case Cancel, Merge:
			// Clocks go on from their start when a merge is undone.
			if i+1 == len(h.Moves) || h.Moves[i+1].Verb != Unmerge {
				out = append(out, policy.Event{At: m.At, Ends: true})
			}
		}
	}
	for _, at := range h.Replies {
		if h.open(at) {
			add(at, OnReply()...)
		}
	}
	for _, at := range h.Contacts {
		if h.open(at) {
			add(at, OnContact()...)
		}
	}
	slices.SortStableFunc(out, func(a, b policy.Event) int { return a.At.Compare(b.At) })
	return out
}

// importedResolve is when a ticket was resolved that was imported so: the ticket tells it
// until a later round is; then the import's last move is the nearest that is known.
func (h *History) importedResolve(last time.Time) time.Time {
	for _, m := range h.Moves {
		if m.Verb == Reopen {
			return last
		}
	}
	if h.Resolve.IsZero() {
		return last
	}
	return h.Resolve
}

// open tells whether the ticket was before resolved at an instant: what is said after the
// solution moves no clock.
func (h *History) open(at time.Time) bool {
	open := false
	for _, m := range h.Moves {
		if m.At.After(at) {
			break
		}
		open = Open(m.To)
	}
	return open
}

// Holds gives when the ticket waited and for whom.
func (h *History) Holds() []policy.Hold {
	var out []policy.Hold
	for _, m := range h.Moves {
		if n := len(out); n > 0 && m.From == Waiting && m.To != Waiting {
			out[n-1].To = m.At
		}
		if m.Verb == Wait || m.Verb == Unmerge && m.To == Waiting {
			out = append(out, policy.Hold{Reason: PauseReason(m.WaitFor), From: m.At})
		}
	}
	return out
}
