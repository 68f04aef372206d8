package policy

import (
	"cmp"
	"errors"
	"fmt"
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
	Create time.Time
	// Source it was imported from; empty for none.
	Source string
	// Type is what it is about; empty where the service tells none.
	Type  string
	Facts Facts
	// Events as they came; those of one instant in their order, stops before starts. One that
	// happened again is there again.
	Events []Event
	Holds  []Hold
	// Untold are events that the case's source does not tell of: no clock is judged that one
	// of them starts or stops.
	Untold []string
}

// Event is something that starts or stops clocks.
type Event struct {
	Name string
	At   time.Time
	// Ends says that no clock goes on after it: one that an event in For would stop is
	// stopped, any other is given up.
	Ends bool
	For  []string
	// Only names the stop event of the clocks that it starts; empty for all. One that happens
	// Again starts none: it stops and extends.
	Only  string
	Again bool
}

// Hold is a time in which a case was held for a reason; To is zero if it still is.
type Hold struct {
	Reason   string
	From, To time.Time
}

// DryRun replays past cases under two versions by the same fold that runs live clocks.
// Deadlines without an end are judged as of one instant, so the same cases have the same
// result for ever. It is not safe for concurrent use.
type DryRun struct {
	tried, inEffect *tally
	calendars       Calendars
	asOf            time.Time
	totals          *clockv1.DryRunTotals
}

// NewDryRun makes a DryRun.
func NewDryRun(tried, inEffect *clockv1.Policy, calendars Calendars, asOf time.Time) *DryRun {
	return &DryRun{
		tried: newTally(tried), inEffect: newTally(inEffect), calendars: calendars, asOf: asOf,
		totals: &clockv1.DryRunTotals{AsOf: timestamppb.New(asOf)},
	}
}

// Replay counts a case and tells how its deadlines end, by kind in the order of the tried
// version. It fails with what a calendar refuses.
func (r *DryRun) Replay(c *Case) (*clockv1.DryRunCase, error) {
	out := &clockv1.DryRunCase{
		SubjectId: c.ID.String(), Number: c.Number, Source: c.Source, CreateTime: stamp(c.Create),
		Type: c.Type, Level: cmp.Or(c.Facts.Priority, c.Facts.Severity), Tier: c.Facts.Tier,
	}
	kinds := Kinds(r.tried.policy)
	for _, kind := range Kinds(r.inEffect.policy) {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	for _, kind := range kinds {
		tried, err := r.run(r.tried, c, kind)
		if err != nil {
			return nil, err
		}
		inEffect, err := r.run(r.inEffect, c, kind)
		if err != nil {
			return nil, err
		}
		for i := range max(len(tried), len(inEffect)) {
			d := &clockv1.DryRunClock{Kind: kind, Start: int32(i + 1)}
			if i < len(tried) {
				d.Tried = tried[i]
			}
			if i < len(inEffect) {
				d.InEffect = inEffect[i]
			}
			r.compare(d)
			out.Clocks = append(out.Clocks, d)
		}
	}
	r.totals.Cases++
	return out, nil
}

// Changed says whether a deadline of a case is missed under one version alone.
func Changed(c *clockv1.DryRunCase) bool {
	return slices.ContainsFunc(c.GetClocks(), func(d *clockv1.DryRunClock) bool { return missed(d.GetTried()) != missed(d.GetInEffect()) })
}

func missed(o *clockv1.DryRunOutcome) bool { return o.GetState() == clock.Missed }

func (r *DryRun) compare(d *clockv1.DryRunClock) {
	switch was, is := missed(d.GetInEffect()), missed(d.GetTried()); {
	case is && !was:
		r.totals.NewlyMissed++
	case was && !is:
		r.totals.NoLongerMissed++
	}
}

// Totals gives what was counted so far.
func (r *DryRun) Totals() *clockv1.DryRunTotals {
	r.totals.Tried, r.totals.InEffect = r.tried.sum(), r.inEffect.sum()
	return r.totals
}

// run gives the deadlines of one kind, one for each time that what starts it happened.
func (r *DryRun) run(t *tally, c *Case, kind string) ([]*clockv1.DryRunOutcome, error) {
	choice, ok := Pick(t.policy, kind, c.Facts)
	if !ok || slices.Contains(c.Untold, choice.Clause.GetStartEvent()) || slices.Contains(c.Untold, choice.Clause.GetStopEvent()) {
		return nil, nil
	}
	events := c.ordered()
	var out []*clockv1.DryRunOutcome
	for i, e := range events {
		if !e.starts(choice.Clause) {
			continue
		}
		later := events[i+1:]
		o, err := r.fold(t.policy, c, choice, e.At, later, end(later, choice.Clause))
		if err != nil {
			return nil, fmt.Errorf("case %s, %s: %w", c.Number, kind, err)
		}
		t.add(o)
		out = append(out, o)
	}
	return out, nil
}

// starts tells whether the event starts a clause's clock.
func (e *Event) starts(clause *clockv1.PolicyClause) bool {
	return !e.Again && e.Name == clause.GetStartEvent() && (e.Only == "" || e.Only == clause.GetStopEvent())
}

// ordered gives the events by time, those of one instant as they came.
func (c *Case) ordered() []Event {
	return slices.SortedStableFunc(slices.Values(c.Events), func(a, b Event) int { return a.At.Compare(b.At) })
}

// end gives the entry that ends a clock: what stops it, the end of the case, or what starts
// the next one of its kind; nil while it goes on.
func end(later []Event, clause *clockv1.PolicyClause) *clock.Entry {
	for _, e := range later {
		switch {
		case e.Name == clause.GetStopEvent() || e.Ends && slices.Contains(e.For, clause.GetStopEvent()):
			return &clock.Entry{Type: clock.EntryStopped, At: e.At}
		case e.Ends || e.starts(clause):
			return &clock.Entry{Type: clock.EntryCancelled, At: e.At}
		}
	}
	return nil
}

// fold judges the log that one clock would have had.
func (r *DryRun) fold(p *clockv1.Policy, c *Case, choice Choice, start time.Time, later []Event, end *clock.Entry) (*clockv1.DryRunOutcome, error) {
	terms, clause, err := choice.Terms(p, start, c.before(start), r.calendars)
	if err != nil {
		return nil, err
	}
	cal, err := r.calendars(terms.CalendarID)
	if err != nil {
		return nil, err
	}
	if terms, err = terms.Resolve(cal, "", start); err != nil {
		return nil, err
	}
	log := append([]clock.Entry{{Type: clock.EntryStarted, At: start, Terms: &terms}}, c.holds(terms.PauseReasons)...)
	more, err := extensions(cal, choice.Clause, later, end)
	if err != nil {
		return nil, err
	}
	log = append(log, more...)
	if end != nil {
		log = append(log, *end)
	}
	for i := range log {
		log[i].Position = int64(i + 1)
	}
	state, err := clock.Fold(log, cal)
	if err != nil {
		return nil, err
	}
	out := &clockv1.DryRunOutcome{
		ClauseId: clause.GetClauseId(), OwnerRole: choice.Clause.GetOwnerRole(), State: state.PhaseAt(r.asOf),
		StartTime: timestamppb.New(start), DueTime: stamp(state.Due), StopTime: stamp(state.Stop),
	}
	if out.State == clock.Missed {
		late, _ := state.Overrun(r.asOf)
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

// extensions gives the entries of the events that extend a clock before its end.
func extensions(cal *worktime.Calendar, clause *clockv1.PolicyClause, later []Event, end *clock.Entry) ([]clock.Entry, error) {
	if clause.GetExtension() == nil {
		return nil, nil
	}
	target := clock.TargetOf(clause.GetExtension().GetTarget())
	var out []clock.Entry
	for _, e := range later {
		if end != nil && e.At.After(end.At) {
			break
		}
		if e.Name != clause.GetExtension().GetStartEvent() {
			continue
		}
		amount := target.WorkingTime
		if target.WorkingDays > 0 {
			var err error
			if amount, err = cal.WorkingTime(e.At, target.WorkingDays); err != nil {
				return nil, err
			}
		}
		out = append(out, clock.Entry{Type: clock.EntryExtended, At: e.At, Amount: amount})
	}
	return out, nil
}

// before gives when each event happened last by an instant: what floors count from.
func (c *Case) before(at time.Time) map[string]time.Time {
	out := map[string]time.Time{}
	for _, e := range c.Events {
		if !e.At.After(at) && e.At.After(out[e.Name]) {
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

// tally counts outcomes by clause.
type tally struct {
	policy  *clockv1.Policy
	clauses map[string]*clockv1.DryRunClause
}

func newTally(p *clockv1.Policy) *tally {
	t := &tally{policy: p, clauses: map[string]*clockv1.DryRunClause{}}
	for _, c := range p.GetClauses() {
		t.clauses[c.GetClauseId()] = &clockv1.DryRunClause{ClauseId: c.GetClauseId(), Kind: c.GetKind()}
	}
	return t
}

func (t *tally) add(o *clockv1.DryRunOutcome) {
	c := t.clauses[o.GetClauseId()]
	switch o.GetState() {
	case clock.Met:
		c.Met++
	case clock.Missed:
		c.Missed++
		if cmp.Compare(c.GetWorst().AsDuration(), o.GetMissedBy().AsDuration()) < 0 {
			c.Worst = o.GetMissedBy()
		}
	case clock.Cancelled:
		c.Cancelled++
	default:
		c.Open++
	}
}

// sum leaves out clauses that no deadline came under.
func (t *tally) sum() *clockv1.DryRunSide {
	out := &clockv1.DryRunSide{PolicyId: t.policy.GetId(), PolicyVersion: t.policy.GetVersion()}
	for _, clause := range t.policy.GetClauses() {
		c := t.clauses[clause.GetClauseId()]
		if c.GetMet()+c.GetMissed()+c.GetOpen()+c.GetCancelled() == 0 {
			continue
		}
		out.Met, out.Missed = out.GetMet()+c.GetMet(), out.GetMissed()+c.GetMissed()
		out.Open, out.Cancelled = out.GetOpen()+c.GetOpen(), out.GetCancelled()+c.GetCancelled()
		out.Clauses = append(out.Clauses, c)
	}
	return out
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
