package clock

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// ErrMalformed says that a log could not have come about.
var ErrMalformed = errors.New("the clock's log is malformed")

// State is what a log comes to.
type State struct {
	// Position of the last entry.
	Position int64
	Phase    Phase
	Start    time.Time
	// Terms that apply, and Target, their working time with what extensions added.
	Terms  Terms
	Target time.Duration
	Owner  Owner
	// Due is zero while the clock is paused before it is known.
	Due time.Time
	// Stop is zero while the clock is open.
	Stop       time.Time
	StopReason string
	// Detected is when the miss that stands was found; zero unless it was.
	Detected time.Time
	// Pauses that count under the terms, as they were entered.
	Pauses []Pause
	// Fired are the steps that fired, in order.
	Fired []Fired
	// Pending are the steps, and the miss, that will fire if nothing changes, in order.
	Pending []Firing

	cal       *worktime.Calendar
	cancelled bool
	holds     []Pause // all pauses of the log, for whatever reason
	grants    []grant
	misses    []time.Time
	moved     time.Time // when the log last changed what fires when
}

// Pause is a time that does not count. End is zero while it lasts.
type Pause struct {
	Start, End time.Time
	Reason     string
	Actor      string
}

// Fired is a step that fired.
type Fired struct {
	Step            string
	Role            string
	Escalate        bool
	Scheduled, Time time.Time
}

// Firing is something to fire at an instant: a step, or the miss where Step is empty.
type Firing struct {
	Step     string
	Role     string
	Escalate bool
	At       time.Time
}

type grant struct {
	at     time.Time
	amount time.Duration
}

// Open says that the clock was neither stopped nor cancelled.
func (s *State) Open() bool { return s.Stop.IsZero() }

// Next is when something is to fire; zero for never.
func (s *State) Next() time.Time {
	if len(s.Pending) == 0 {
		return time.Time{}
	}
	return s.Pending[0].At
}

// Fold turns a log into a state. cal is the calendar, in its version, that the last terms
// of the log name. The result depends on nothing else.
//
// The order of the entries is that of the log; instants may run against it. A pause that
// ends before it starts is none, one counts from the clock's start at most and to its stop
// at most, so a stop while paused is judged at the pause's start. A clock stopped at its
// due time is met. Cancelled after its due time it is missed all the same. A miss is taken
// back when retarget or stop make due later than its detection, or the stop in time.
//
// An error wraps [ErrMalformed], or is that of a calendar in which the target is never
// reached.
func Fold(log []Entry, cal *worktime.Calendar) (State, error) {
	s := State{cal: cal}
	for i := range log {
		if err := s.apply(&log[i]); err != nil {
			return State{}, fmt.Errorf("entry %d: %w: %w", i+1, ErrMalformed, err)
		}
	}
	if s.Position == 0 {
		return State{}, fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	if err := s.settle(); err != nil {
		return State{}, err
	}
	return s, nil
}

// apply takes in what an entry says and judges nothing.
func (s *State) apply(e *Entry) error {
	if e.Position != s.Position+1 {
		return fmt.Errorf("its position is %d", e.Position)
	}
	if (e.Type == EntryStarted) != (s.Position == 0) {
		return errors.New("a log begins with its only start")
	}
	if s.cancelled || !s.Open() && e.Type != EntryRetargeted && e.Type != EntryMissed {
		return fmt.Errorf("%v after the end", e.Type)
	}
	s.Position = e.Position
	switch e.Type {
	case EntryStarted, EntryRetargeted:
		return s.target(e)
	case EntryPaused:
		if s.held(e.Reason) >= 0 {
			return fmt.Errorf("paused twice for %q", e.Reason)
		}
		s.holds = append(s.holds, Pause{Start: e.At, Reason: e.Reason, Actor: e.Actor})
		s.moved = e.RecordTime
	case EntryResumed:
		i := s.held(e.Reason)
		if i < 0 {
			return fmt.Errorf("resumed from %q without pause", e.Reason)
		}
		// A pause that ends before it starts would look like one that lasts.
		s.holds[i].End = latest(e.At, s.holds[i].Start)
		s.moved = e.RecordTime
	case EntryStopped, EntryCancelled:
		s.Stop, s.StopReason, s.cancelled = latest(e.At, s.Start), e.Reason, e.Type == EntryCancelled
	case EntryWarned, EntryEscalated:
		s.Fired = append(s.Fired, Fired{
			Step: e.Step, Role: e.Role, Escalate: e.Type == EntryEscalated, Scheduled: e.Scheduled, Time: e.At,
		})
	case EntryMissed:
		s.misses = append(s.misses, e.At)
	case EntryHandedOver:
		if e.Owner == nil {
			return errors.New("handed over to no one")
		}
		s.Owner = *e.Owner
	case EntryExtended:
		s.grants = append(s.grants, grant{e.At, e.Amount})
		s.moved = e.RecordTime
	default:
		return fmt.Errorf("its type is %v", e.Type)
	}
	return nil
}

func (s *State) target(e *Entry) error {
	if e.Terms == nil || e.Terms.WorkingTime <= 0 {
		return errors.New("it has no target")
	}
	if e.Type == EntryStarted {
		s.Start = e.At
		if e.Owner != nil {
			s.Owner = *e.Owner
		}
	}
	s.Terms, s.moved = *e.Terms, e.RecordTime
	return nil
}

// held finds the open pause for a reason.
func (s *State) held(reason string) int {
	return slices.IndexFunc(s.holds, func(p Pause) bool { return p.Reason == reason && p.End.IsZero() })
}

// Held says whether the log has an open pause for a reason, counted or not.
func (s *State) Held(reason string) bool { return s.held(reason) >= 0 }

// settle judges what apply took in.
func (s *State) settle() error {
	for _, p := range s.holds {
		if s.Terms.pausesFor(p.Reason) {
			s.Pauses = append(s.Pauses, p)
		}
	}
	rests := s.rests()
	s.Target = s.Terms.WorkingTime
	for _, g := range s.grants {
		due, err := reach(s.cal, s.Start, s.Target, rests)
		if err != nil {
			return err
		}
		// What was missed before is not given more time.
		if due.IsZero() || !g.at.After(due) {
			s.Target = max(s.Target, ceil(counted(s.cal, s.Start, g.at, rests)+g.amount))
		}
	}
	var err error
	if s.Due, err = reach(s.cal, s.Start, s.Target, rests); err != nil {
		return err
	}
	for _, at := range s.misses {
		if !s.Due.IsZero() && at.After(s.Due) {
			s.Detected = at
			break
		}
	}
	s.Phase = s.phase()
	if s.Phase != Missed {
		s.Detected = time.Time{}
	}
	if s.Open() {
		s.Pending = s.pending(rests)
	}
	return nil
}

func (s *State) phase() Phase {
	switch {
	case !s.Open() && s.Stop.After(s.Due):
		return Missed
	case s.cancelled:
		return Cancelled
	case !s.Open():
		return Met
	case !s.Detected.IsZero():
		return Missed
	case s.Due.IsZero():
		return Paused
	}
	return Running
}

// rests gives the pauses in order and apart, clipped to the life of the clock. Only the
// last can be without end, and only while the clock is open.
func (s *State) rests() []Pause {
	var all []Pause
	for _, p := range s.Pauses {
		p.Start = latest(p.Start, s.Start)
		if !s.Open() && (p.End.IsZero() || p.End.After(s.Stop)) {
			p.End = s.Stop
		}
		if p.End.IsZero() || p.Start.Before(p.End) {
			all = append(all, p)
		}
	}
	return apart(all)
}

// pending lists what will fire.
func (s *State) pending(rests []Pause) []Firing {
	var out []Firing
	if !s.Due.IsZero() && s.Phase != Missed {
		out = append(out, Firing{At: s.Due.Add(tick)})
	}
	for _, step := range s.Terms.Ladder {
		if slices.ContainsFunc(s.Fired, func(f Fired) bool { return f.Step == step.ID }) {
			continue
		}
		at, err := s.reached(step.Percent, rests)
		if err != nil || at.IsZero() {
			continue // beyond the calendar, or not while it is paused
		}
		out = append(out, Firing{Step: step.ID, Role: step.Role, Escalate: step.Escalate, At: at})
	}
	slices.SortStableFunc(out, func(a, b Firing) int { return a.At.Compare(b.At) })
	return out
}

// reached gives the instant at which a share of the target was counted. From the whole on
// it is that of the miss, or later, and no pause holds it back.
func (s *State) reached(percent int32, rests []Pause) (time.Time, error) {
	n := ceil(s.Target/100*time.Duration(percent) + s.Target%100*time.Duration(percent)/100)
	if percent < 100 {
		return reach(s.cal, s.Start, n, rests)
	}
	if s.Due.IsZero() {
		return time.Time{}, nil
	}
	at, err := s.cal.Add(s.Due, n-s.Target)
	return at.Add(tick), err
}

// Elapsed is the working time counted up to an instant, or to the stop.
func (s *State) Elapsed(now time.Time) time.Duration {
	until := s.until(now)
	rests := s.rests()
	if s.Due.IsZero() || !until.After(s.Due) {
		return counted(s.cal, s.Start, until, rests)
	}
	return s.Target + s.cal.Between(s.Due, until)
}

// Remaining is the working time left at an instant, or at the stop.
func (s *State) Remaining(now time.Time) time.Duration { return max(0, s.Target-s.Elapsed(now)) }

// Overrun is by how much the clock is past due at an instant, or was at the stop: in real
// time and in working time.
func (s *State) Overrun(now time.Time) (real, working time.Duration) {
	until := s.until(now)
	if s.Due.IsZero() || !until.After(s.Due) {
		return 0, 0
	}
	return until.Sub(s.Due), s.cal.Between(s.Due, until)
}

// PhaseAt is the phase as of an instant: an open clock past due is missed although no sweep
// has found it yet.
func (s *State) PhaseAt(now time.Time) Phase {
	if s.Open() && !s.Due.IsZero() && now.After(s.Due) {
		return Missed
	}
	return s.Phase
}

func (s *State) until(now time.Time) time.Time {
	if s.Open() {
		return latest(now, s.Start)
	}
	return s.Stop
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
