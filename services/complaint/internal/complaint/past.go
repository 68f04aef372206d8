package complaint

import (
	"slices"
	"time"

	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
)

// Moved is one recorded move with what clocks go by.
type Moved struct {
	Verb     string
	From, To State
	At       time.Time
}

// verb tells the verbs apart that one call is named for.
func (m Moved) verb() Verb {
	for _, v := range append([]Verb{Create, Import}, Verbs()...) {
		if v.Name() != m.Verb {
			continue
		}
		step, err := Next(m.From, 1, v)
		if m.From == None || err == nil && step.To == m.To {
			return v
		}
	}
	return Import
}

// Past is what happened to a past complaint.
type Past struct {
	Create time.Time
	// Told and Close of an imported complaint; zero where the source does not tell.
	Told, Close time.Time
	// Moves in their order.
	Moves []Moved
}

// UntoldByImports are events that the source of an imported complaint does not tell of.
func UntoldByImports() []string {
	return []string{EventSubmitted, EventReviewed, EventAssigned, EventContacted, EventProposed, EventApproved}
}

// Events gives what starts, stops and extends the clocks of the complaint, in order, those of
// one instant as the live clocks take them.
func (p *Past) Events() []policy.Event {
	var out []policy.Event
	proposed := false // in the present round
	for _, m := range p.Moves {
		v := m.verb()
		switch v {
		case Import:
			out = append(out, p.imported()...)
			continue
		case Reopen, Dispute, TakeUp, TakeUpDisputed:
			proposed = false
		case Assign:
			if m.From == Assigned {
				continue // the clocks go to another handler as they stand
			}
			if m.From == Contacted {
				out = append(out, policy.Event{Name: EventAssigned, At: m.At, Only: EventContacted})
				continue
			}
		}
		for _, name := range Happens(v) {
			out = append(out, policy.Event{Name: name, At: m.At, Again: v == Propose && proposed})
		}
		proposed = proposed || v == Propose
	}
	slices.SortStableFunc(out, func(a, b policy.Event) int { return a.At.Compare(b.At) })
	return out
}

// imported is what the source tells: when it was received, and when it was told or, where
// only that is known, closed.
func (p *Past) imported() []policy.Event {
	out := []policy.Event{{Name: EventReceived, At: p.Create}, {Name: EventOpened, At: p.Create}}
	told := p.Told
	if told.IsZero() {
		told = p.Close
	}
	if !told.IsZero() {
		out = append(out, policy.Event{Name: EventTold, At: told})
	}
	return out
}

// Holds gives whose time it was between proposals and decisions.
func (p *Past) Holds() []policy.Hold {
	var out []policy.Hold
	open := -1
	end := func(at time.Time) {
		if open >= 0 {
			out[open].To = at
		}
		open = -1
	}
	for _, m := range p.Moves {
		switch m.verb() {
		case Propose:
			end(m.At)
			out = append(out, policy.Hold{Reason: clock.ReasonApprovalPending, From: m.At})
			open = len(out) - 1
		case Return:
			end(m.At)
			out = append(out, policy.Hold{Reason: clock.ReasonReturned, From: m.At})
			open = len(out) - 1
		case Approve:
			end(m.At)
		}
	}
	return out
}
