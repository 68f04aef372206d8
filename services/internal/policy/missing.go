package policy

import (
	"slices"
	"time"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

// ReasonNoDeadline is why clocks are given up whose kind has no deadline any more.
const ReasonNoDeadline = "no-deadline"

// Missing is a clock that runs by all that happened to a case and is not there, because
// there was no deadline when it would have started.
type Missing struct {
	Kind   string
	Choice Choice
	Start  time.Time
	// later is what happened since.
	later []Event
	holds func(reasons []string) []clock.Entry
}

// Lacking tells whether a kind that has a deadline has no open clock among those of a case,
// be it that there is nothing to start.
func Lacking(p *clockv1.Policy, f Facts, has []clock.Clock) bool {
	return slices.ContainsFunc(Kinds(p), func(kind string) bool {
		_, ok := Pick(p, kind, f)
		return ok && !slices.ContainsFunc(has, func(k clock.Clock) bool { return k.Kind == kind && k.State.Stop.IsZero() })
	})
}

// Missing gives the clocks that the case ought to have under a policy beside those it has.
// What ended otherwise than for want of a deadline was judged, and is not missing.
func (c *Case) Missing(p *clockv1.Policy, has []clock.Clock) []Missing {
	var out []Missing
	events := c.ordered()
	for _, kind := range Kinds(p) {
		choice, ok := Pick(p, kind, c.Facts)
		if !ok {
			continue
		}
		i := lastStart(events, choice.Clause)
		if i < 0 || end(events[i+1:], choice.Clause) != nil {
			continue
		}
		m := Missing{Kind: kind, Choice: choice, Start: events[i].At, later: events[i+1:], holds: c.holds}
		if !slices.ContainsFunc(has, m.is) {
			out = append(out, m)
		}
	}
	return out
}

// lastStart is where the clock of a clause was started last; -1 if it never was.
func lastStart(events []Event, clause *clockv1.PolicyClause) int {
	for i, e := range slices.Backward(events) {
		if e.starts(clause) {
			return i
		}
	}
	return -1
}

// is tells whether a clock is open or was judged in the place of the missing one.
func (m *Missing) is(k clock.Clock) bool {
	return k.Kind == m.Kind && (k.State.Stop.IsZero() || k.State.Start.Equal(m.Start) && k.State.StopReason != ReasonNoDeadline)
}

// Since gives the pauses that the terms know and the extensions since the start, in their
// order.
func (m *Missing) Since(terms clock.Terms, calendars Calendars) ([]clock.Entry, error) {
	cal, err := calendars(terms.CalendarID)
	if err != nil {
		return nil, err
	}
	more, err := extensions(cal, m.Choice.Clause, m.later, nil)
	if err != nil {
		return nil, err
	}
	out := append(m.holds(terms.PauseReasons), more...)
	slices.SortStableFunc(out, func(a, b clock.Entry) int { return a.At.Compare(b.At) })
	return out, nil
}
