package ticket

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Policy is what the company may set of the rules.
type Policy struct {
	// ConfirmAfter is how long a customer may be silent before a resolved ticket closes.
	ConfirmAfter time.Duration
	// ReopenWithin is how long after resolve a ticket can be reopened.
	ReopenWithin time.Duration
	// DecideWithin is how long, in business hours, a supervisor has to decide on an escalation.
	DecideWithin time.Duration
	// UnmergeWithin is how long after it a merge can be undone.
	UnmergeWithin time.Duration
	// CallBackWithin is when a key customer who was silent is to be called.
	CallBackWithin time.Duration
	// DedicatedFor is how long a new ticket of a key customer waits for the account manager
	// before others can pull it.
	DedicatedFor time.Duration
	// FlagAhead is how long before it begins a gap of a duty roster is flagged.
	FlagAhead time.Duration
	// PublishEvery is how old a publication of hotlines may become.
	PublishEvery time.Duration
	// MaxLoad is how many open tickets somebody has at most who pulls one or gets one
	// automatically.
	MaxLoad int
}

// Check refuses a policy by which something would be over as soon as it begins.
func (p Policy) Check() error {
	for _, d := range []struct {
		name string
		is   time.Duration
	}{
		{"to confirm", p.ConfirmAfter}, {"to reopen", p.ReopenWithin}, {"to decide on an escalation", p.DecideWithin},
		{"to undo a merge", p.UnmergeWithin}, {"to call a silent key customer", p.CallBackWithin},
		{"that a key customer's ticket waits for the account manager", p.DedicatedFor},
		{"that a gap in the duty roster is flagged ahead", p.FlagAhead}, {"that a publication of hotlines holds", p.PublishEvery},
	} {
		if d.is <= 0 {
			return fmt.Errorf("the time %s is %v; it must be longer than nothing", d.name, d.is)
		}
	}
	if p.MaxLoad < 1 {
		return fmt.Errorf("the most open tickets in a person's hands are %d; give at least 1", p.MaxLoad)
	}
	return nil
}

// Standing is what moves change of a ticket. Zero ids and times mean none.
type Standing struct {
	Weight
	State      State
	Round      int32
	Type       ticketv1.TicketType
	Department uuid.UUID
	Assignee   uuid.UUID
	WaitFor    ticketv1.WaitFor
	Resolution string
	MergedInto uuid.UUID
	Resolve    time.Time
	Close      time.Time
	// ConfirmDue is when silence closes it.
	ConfirmDue time.Time
	// OpenTasks are the required sub-tasks that are open, where Counts asks for them.
	OpenTasks int
}

// Move is one verb with what it needs.
type Move struct {
	Verb Verb
	At   time.Time

	Weight // triage, prioritize

	Type       ticketv1.TicketType // triage
	Department uuid.UUID           // triage, assign, hand over, release, rehome
	Assignee   uuid.UUID           // assign, hand over
	WaitFor    ticketv1.WaitFor    // wait
	Resolution string              // resolve
	Into       uuid.UUID           // merge
	Back       State               // unmerge, with WaitFor

	// Of recordContact: over what, when, and whether the customer spoke or wrote back.
	Channel     typev1.Channel
	ContactTime time.Time
	TwoWay      bool
}

// EventType is the type of the event that the move emits.
func (m Move) EventType() string {
	if m.Verb == Contact && !m.TwoWay {
		return EventAttempted
	}
	return EventType(m.Verb)
}

// Apply makes the move, or refuses it with a public error and gives the zero standing.
// Every way to change a ticket's state goes through it.
func (p Policy) Apply(s Standing, m Move) (Standing, error) {
	to, err := Next(s.State, m.Verb)
	if err != nil {
		return Standing{}, err
	}
	if err := p.guard(s, m); err != nil {
		return Standing{}, err
	}
	s.State = to
	if !stays(m.Verb) {
		s.WaitFor, s.ConfirmDue = ticketv1.WaitFor_WAIT_FOR_UNSPECIFIED, time.Time{}
	}
	switch m.Verb {
	case Create:
		s.Round = 1
	case Triage:
		s.Type, s.Weight, s.Department = m.Type, m.Weight, m.Department
	case Prioritize:
		s.Weight = m.Weight
	case Contact:
		if m.TwoWay {
			s = p.Heard(s, m.ContactTime)
		}
	case Assign, HandOver, Release:
		s.Assignee, s.Department = m.Assignee, m.Department
	case Rehome:
		s.Department = m.Department
	case Wait:
		s.WaitFor = m.WaitFor
	case Resolve:
		s.Resolution, s.Resolve, s.ConfirmDue = m.Resolution, m.At, m.At.Add(p.ConfirmAfter)
	case Confirm, Close:
		s.Close = m.At
	case Reopen:
		s.Round++
		s.Resolution, s.Resolve, s.Close = "", time.Time{}, time.Time{}
	case Merge:
		s.MergedInto = m.Into
	case Unmerge:
		s.State, s.WaitFor, s.MergedInto = m.Back, m.WaitFor, uuid.Nil
	}
	return s, nil
}

func (p Policy) guard(s Standing, m Move) error {
	if Counts(m.Verb) && s.OpenTasks > 0 {
		return tasksOpen(s.OpenTasks)
	}
	if m.Verb == Unmerge && !Open(m.Back) {
		return fmt.Errorf("a merge is undone to %s", Name(m.Back))
	}
	if m.Verb != Reopen {
		return nil
	}
	last := s.Resolve.Add(p.ReopenWithin)
	if !m.At.After(last) {
		return nil
	}
	return rpcerr.WrongState("TICKET_REOPEN_TOO_LATE", rpcerr.T(
		"The ticket was resolved at %[1]s and could be reopened until %[2]s; register a new ticket that mentions this one.",
		"工单于 %[1]s 解决，最晚可在 %[2]s 重新打开；请新建工单并注明本工单号。", stamp(s.Resolve), stamp(last))).
		With("last_time", stamp(last)).Clause("3.2-reopen")
}

// MergeTarget is what a merge must know of the ticket that goes on.
type MergeTarget struct {
	ID, Customer uuid.UUID
	State        State
}

// CheckMerge refuses to fold a ticket into itself, into one of another customer, or into
// one that does not go on.
func CheckMerge(id, customer uuid.UUID, into MergeTarget) error {
	if id == into.ID {
		return rpcerr.Invalid("into_id", rpcerr.T(
			"a ticket cannot be merged into itself; give the id of the ticket that goes on",
			"工单不能并入自身；请填写继续处理的工单的 id"))
	}
	if customer != into.Customer {
		return rpcerr.WrongState("TICKET_OF_OTHER_CUSTOMER", rpcerr.T(
			"Ticket %[1]s and ticket %[2]s belong to different customers; merge tickets of one customer only.",
			"工单 %[1]s 与工单 %[2]s 属于不同客户；只能合并同一客户的工单。", id, into.ID))
	}
	if merge, _ := find(Merge); !slices.Contains(merge.from, into.State) {
		return rpcerr.WrongState(ReasonWrongState, rpcerr.T(
			"Ticket %[1]s, which would go on, is %[2]s; merge into one that is not resolved or ended.",
			"要并入的工单 %[1]s 当前状态为“%[2]s”；请并入尚未解决或结束的工单。", into.ID, Label(into.State))).
			With("state", Name(into.State)).With("verb", string(Merge)).With("id", into.ID.String())
	}
	return nil
}

// Unmergeable refuses to undo a merge of long ago.
func (p Policy) Unmergeable(merged, now time.Time) error {
	last := merged.Add(p.UnmergeWithin)
	if !now.After(last) {
		return nil
	}
	return rpcerr.WrongState("TICKET_UNMERGE_TOO_LATE", rpcerr.T(
		"The ticket was merged at %[1]s, and the merge could be undone until %[2]s; register a new ticket and link it to this one.",
		"工单于 %[1]s 合并，最晚可在 %[2]s 撤销合并；请新建工单并与本工单关联。", stamp(merged), stamp(last))).With("last_time", stamp(last))
}

// Editable refuses to correct what was recorded of an ended ticket.
func Editable(s State) error {
	switch s {
	case Closed, Cancelled, Merged:
		return wrongState(s, "update", []State{New, Triaged, Assigned, InProgress, Waiting, Resolved})
	}
	return nil
}

// Open tells whether a ticket is not resolved or ended.
func Open(s State) bool {
	cancel, _ := find(Cancel)
	return slices.Contains(cancel.from, s)
}

// Commentable refuses comments on a merged ticket: its conversation goes on elsewhere.
func Commentable(s State) error {
	if s != Merged {
		return nil
	}
	return wrongState(s, "comment", []State{New, Triaged, Assigned, InProgress, Waiting, Resolved, Closed, Cancelled})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Heard is the standing after the customer spoke: their silence begins anew.
func (p Policy) Heard(s Standing, at time.Time) Standing {
	if !s.ConfirmDue.IsZero() {
		s.ConfirmDue = at.Add(p.ConfirmAfter)
	}
	return s
}
