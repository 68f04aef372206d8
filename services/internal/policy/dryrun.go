package policy

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Case is a past case: its facts and what happened when.
type Case struct {
	ID     uuid.UUID
	Number string
	Facts  Facts
	// Events in any order; one that happened again is there again.
	Events []Event
	Holds  []Hold
}

// Event is something that starts or stops clocks.
type Event struct {
	Name string
	At   time.Time
}

// Hold is a time in which a case was held for a reason; To is zero if it still is.
type Hold struct {
	Reason   string
	From, To time.Time
}

// DryRun replays past cases under a policy by the same fold that runs live clocks, tells
// emit of every clock in the order of the cases and the policy's kinds, and gives the
// totals. Clocks without an end are judged as of one instant, so the same input has the
// same result for ever. It stops at the first error of the cases, a calendar or emit.
func DryRun(p *clockv1.Policy, cases iter.Seq2[Case, error], calendars Calendars, asOf time.Time,
	emit func(*clockv1.DryRunCase) error) (*clockv1.DryRunTotals, error) {
	totals, kinds := newTally(p), Kinds(p)
	for c, err := range cases {
		if err != nil {
			return nil, err
		}
		totals.out.Cases++
		for _, kind := range kinds {
			results, err := replay(p, &c, kind, calendars, asOf)
			if err != nil {
				return nil, fmt.Errorf("case %s, %s: %w", c.Number, kind, err)
			}
			for _, r := range results {
				totals.add(r)
				if err := emit(r); err != nil {
					return nil, err
				}
			}
		}
	}
	return totals.sum(), nil
}

// replay gives the clocks of one kind, one for each time that what starts it happened, or
// a pending one.
func replay(p *clockv1.Policy, c *Case, kind string, calendars Calendars, asOf time.Time) ([]*clockv1.DryRunCase, error) {
	choice, ok := Pick(p, kind, c.Facts)
	if !ok {
		return nil, nil
	}
	starts, stops := c.times(choice.Clause.GetStartEvent()), c.times(choice.Clause.GetStopEvent())
	if len(starts) == 0 {
		return []*clockv1.DryRunCase{{
			SubjectId: c.ID.String(), Number: c.Number, Kind: kind, Round: 1, ClauseId: choice.Clause.GetClauseId(),
			OwnerRole: choice.Clause.GetOwnerRole(), State: clock.Pending,
		}}, nil
	}
	out := make([]*clockv1.DryRunCase, len(starts))
	for i, start := range starts {
		var stop time.Time
		for _, at := range stops {
			if !at.Before(start) && (i+1 == len(starts) || !at.After(starts[i+1])) {
				stop = at
				break
			}
		}
		var err error
		if out[i], err = c.run(p, choice, start, stop, calendars, asOf); err != nil {
			return nil, err
		}
		out[i].Kind, out[i].Round = kind, int32(i+1)
	}
	return out, nil
}

// run folds the log that one clock would have had.
func (c *Case) run(p *clockv1.Policy, choice Choice, start, stop time.Time, calendars Calendars, asOf time.Time) (*clockv1.DryRunCase, error) {
	terms, clause, err := choice.Terms(p, start, c.first(), calendars)
	if err != nil {
		return nil, err
	}
	cal, err := calendars(terms.CalendarID)
	if err != nil {
		return nil, err
	}
	if terms, err = terms.Resolve(cal, "", start); err != nil {
		return nil, err
	}
	log := append([]clock.Entry{{Type: clock.EntryStarted, At: start, Terms: &terms}}, c.holds(terms.PauseReasons)...)
	if !stop.IsZero() {
		log = append(log, clock.Entry{Type: clock.EntryStopped, At: stop})
	}
	for i := range log {
		log[i].Position = int64(i + 1)
	}
	state, err := clock.Fold(log, cal)
	if err != nil {
		return nil, err
	}
	out := &clockv1.DryRunCase{
		SubjectId: c.ID.String(), Number: c.Number, ClauseId: clause.GetClauseId(), OwnerRole: choice.Clause.GetOwnerRole(),
		State: state.PhaseAt(asOf), StartTime: timestamppb.New(start), DueTime: stamp(state.Due), StopTime: stamp(stop),
	}
	if out.State == clock.Missed {
		late, _ := state.Overrun(asOf)
		out.MissedBy = durationpb.New(late)
	}
	return out, nil
}

// holds gives the entries of the holds for these reasons. Holds for one reason that overlap
// are one to the log.
func (c *Case) holds(reasons []string) []clock.Entry {
	var out []clock.Entry
	sorted := slices.SortedStableFunc(slices.Values(c.Holds), func(a, b Hold) int { return a.From.Compare(b.From) })
	for _, reason := range reasons {
		var end time.Time
		open := false
		for _, h := range sorted {
			if h.Reason != reason || open {
				continue
			}
			if !h.To.IsZero() && !h.To.After(end) {
				continue
			}
			if h.From.Before(end) {
				h.From = end
			}
			out = append(out, clock.Entry{Type: clock.EntryPaused, At: h.From, Reason: reason})
			if open = h.To.IsZero(); !open {
				out = append(out, clock.Entry{Type: clock.EntryResumed, At: h.To, Reason: reason})
				end = h.To
			}
		}
	}
	return out
}

// times lists when an event happened, in order.
func (c *Case) times(name string) []time.Time {
	var out []time.Time
	for _, e := range c.Events {
		if e.Name == name {
			out = append(out, e.At)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// first gives when each event happened first.
func (c *Case) first() map[string]time.Time {
	out := map[string]time.Time{}
	for _, e := range c.Events {
		if at, ok := out[e.Name]; !ok || e.At.Before(at) {
			out[e.Name] = e.At
		}
	}
	return out
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// tally counts results by clause.
type tally struct {
	out     *clockv1.DryRunTotals
	clauses map[string]*clockv1.DryRunClause
	order   []string
}

func newTally(p *clockv1.Policy) *tally {
	t := &tally{out: &clockv1.DryRunTotals{}, clauses: map[string]*clockv1.DryRunClause{}}
	for _, c := range p.GetClauses() {
		t.order = append(t.order, c.GetClauseId())
		t.clauses[c.GetClauseId()] = &clockv1.DryRunClause{ClauseId: c.GetClauseId(), Kind: c.GetKind()}
	}
	return t
}

func (t *tally) add(r *clockv1.DryRunCase) {
	c := t.clauses[r.GetClauseId()]
	t.out.Clocks++
	switch r.GetState() {
	case clock.Met:
		t.out.Met++
		c.Met++
	case clock.Missed:
		t.out.Missed++
		c.Missed++
		if c.GetWorst().AsDuration() < r.GetMissedBy().AsDuration() {
			c.Worst = r.GetMissedBy()
		}
	case clock.Pending:
		t.out.Pending++
		c.Pending++
	default:
		t.out.Open++
		c.Open++
	}
}

// sum leaves out clauses that no clock came under.
func (t *tally) sum() *clockv1.DryRunTotals {
	for _, id := range t.order {
		if c := t.clauses[id]; c.GetMet()+c.GetMissed()+c.GetOpen()+c.GetPending() > 0 {
			t.out.Clauses = append(t.out.Clauses, c)
		}
	}
	return t.out
}

// Loaded makes Calendars of a map; an id that is not in it is an error.
func Loaded(calendars map[string]*worktime.Calendar) Calendars {
	return func(id string) (*worktime.Calendar, error) {
		if cal := calendars[id]; cal != nil {
			return cal, nil
		}
		return nil, errors.New("no such calendar: " + id)
	}
}
