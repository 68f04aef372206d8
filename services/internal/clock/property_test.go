package clock_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/minutewalk"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// scene is calendars that a log may use, each as the engine and as the oracle has it.
type scene struct {
	ids    []string
	cals   map[string]*worktime.Calendar
	walks  map[string]*calendarWalk
	from   time.Time // logs start in the time that follows
	within int       // minutes
}

// seasons is a scene of three fixed calendars over the first months of 2026, with the Spring
// Festival, its make-up workdays and a change of the clock.
var seasons = sync.OnceValue(func() *scene {
	s := &scene{from: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), within: 120 * minutewalk.DayLength, walks: map[string]*calendarWalk{}}
	s.cals = calendars(panicking{})
	for id, d := range definitions(panicking{}) {
		s.ids = append(s.ids, id)
		s.walks[id] = walkOver(d, s.from.AddDate(0, 0, -4), 204*minutewalk.DayLength)
	}
	slices.Sort(s.ids)
	return s
})

type panicking struct{}

func (panicking) Fatal(args ...any) { panic(args) }

// anyScene is the seasons, or one calendar that nobody has thought of.
func anyScene(t *rapid.T) *scene {
	if rapid.Bool().Draw(t, "seasons") {
		return seasons()
	}
	const days = 70
	d, begin := minutewalk.AnyDefinition(t, minutewalk.AnyBegin, days)
	cal, err := worktime.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return &scene{
		ids: []string{"any"}, cals: map[string]*worktime.Calendar{"any": cal},
		walks: map[string]*calendarWalk{"any": walkOver(d, begin, days*minutewalk.DayLength)},
		from:  begin.Add(minutewalk.Margin * time.Minute), within: 15 * minutewalk.DayLength,
	}
}

func anyTarget(t *rapid.T) worktime.Target {
	if rapid.Bool().Draw(t, "inDays") {
		return worktime.Target{WorkingDays: rapid.IntRange(1, 7).Draw(t, "days")}
	}
	return worktime.Target{WorkingTime: time.Duration(rapid.IntRange(1, 3000).Draw(t, "minutes")) * time.Minute}
}

// anyTerms draws terms and has both sides say what working time they come to.
func (s *scene) anyTerms(t *rapid.T, start time.Time) *clock.Terms {
	terms := clock.Terms{CalendarID: rapid.SampledFrom(s.ids).Draw(t, "calendar"), Ladder: ladder, Target: anyTarget(t)}
	terms.PauseReasons = rapid.SampledFrom([][]string{nil, {"a"}, {"b"}, {"a", "b"}}).Draw(t, "pauses")
	if rapid.IntRange(0, 4).Draw(t, "floor") == 0 {
		before := time.Duration(rapid.IntRange(0, minutewalk.DayLength).Draw(t, "before")) * time.Minute
		terms.Floor = &clock.Floor{From: start.Add(-before), Target: anyTarget(t)}
	}
	want, ok := s.walks[terms.CalendarID].working(start, &terms)
	if !ok || want == 0 {
		terms.Target, terms.Floor, want = worktime.Target{WorkingTime: time.Hour}, nil, 60
	}
	resolved, err := terms.Resolve(s.cals[terms.CalendarID], "1", start)
	if err != nil || resolved.WorkingTime != time.Duration(want)*time.Minute {
		t.Fatalf("%+v from %v come to %v, %v; counted %d minutes", terms, start, resolved.WorkingTime, err, want)
	}
	return &resolved
}

// anyLog draws a history; now and then the machine's clock jumps back.
func (s *scene) anyLog(t *rapid.T) (log []clock.Entry, end time.Time) {
	at := s.from.Add(time.Duration(rapid.IntRange(0, s.within).Draw(t, "start")) * time.Minute)
	log = []clock.Entry{{Position: 1, Type: clock.EntryStarted, At: at, Terms: s.anyTerms(t, at)}}
	open := map[string]bool{}
	for range rapid.IntRange(0, 8).Draw(t, "entries") {
		step := rapid.SampledFrom([]int{60, 24 * 60, 4 * 24 * 60}).Draw(t, "scale")
		at = at.Add(time.Duration(rapid.IntRange(-step/10, step).Draw(t, "step")) * time.Minute)
		e := clock.Entry{Position: int64(len(log) + 1), At: at, RecordTime: at}
		reason := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "reason")
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0, 1, 2:
			e.Type, e.Reason = clock.EntryPaused, reason
			if open[reason] {
				e.Type = clock.EntryResumed
			}
			open[reason] = !open[reason]
		case 3:
			e.Type, e.Terms = clock.EntryRetargeted, s.anyTerms(t, log[0].At)
		case 4:
			e.Type, e.Amount = clock.EntryExtended, time.Duration(rapid.IntRange(1, 600).Draw(t, "amount"))*time.Minute
		case 5:
			e.Type = clock.EntryMissed
		case 6:
			e.Type, e.Step = clock.EntryWarned, rapid.SampledFrom(ladder).Draw(t, "fired").ID
		}
		log = append(log, e)
	}
	at = at.Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(t, "end")) * time.Minute)
	if what := rapid.IntRange(0, 2).Draw(t, "stop"); what > 0 {
		log = append(log, clock.Entry{Position: int64(len(log) + 1), At: at,
			Type: []clock.Type{clock.EntryStopped, clock.EntryCancelled}[what-1]})
	}
	return log, at
}

// agree folds ten random logs, lets the oracle walk them and asks both some thirty
// questions of each.
func agree(t *rapid.T) {
	s := anyScene(t)
	for range 10 {
		log, end := s.anyLog(t)
		want := judge(log, s.walks)
		got, err := clock.Fold(log, s.cals[want.terms.CalendarID])
		if err != nil {
			t.Fatal(err)
		}
		agreeDue(t, &got, want)
		agreePending(t, &got, want)
		for range 4 {
			now := end.Add(time.Duration(rapid.IntRange(-4*minutewalk.DayLength, 4*minutewalk.DayLength).Draw(t, "now")) * time.Minute)
			agreeNow(t, &got, want, now)
		}
	}
}

func agreeDue(t *rapid.T, got *clock.State, want *oracle) {
	if got.Target != want.target || !got.Detected.Equal(want.detected()) {
		t.Fatalf("target %v, detected %v; walked %v, %v", got.Target, got.Detected, want.target, want.detected())
	}
	switch last := want.walk.Len() - 1; {
	case want.due != none && !got.Due.Equal(want.walk.Time(want.due)):
		t.Fatalf("due %v, walked %v", got.Due, want.walk.Time(want.due))
	case want.due == none && got.Due.IsZero() && !want.rests[last]:
		t.Fatalf("never due, although nothing pauses it")
	case want.due == none && !got.Due.IsZero() && !got.Due.After(want.walk.Time(last)):
		t.Fatalf("due %v, not reached by %v", got.Due, want.walk.Time(last))
	}
}

// agreePending wants each step and the miss to fire when, and only when, the walk says.
func agreePending(t *rapid.T, got *clock.State, want *oracle) {
	pending := map[string]time.Time{}
	for i, f := range got.Pending {
		pending[f.Step] = f.At
		if i > 0 && f.At.Before(got.Pending[i-1].At) {
			t.Fatalf("%v fires after %v", got.Pending[i-1], f)
		}
	}
	if len(pending) != len(got.Pending) {
		t.Fatalf("pending twice: %v", got.Pending)
	}
	end := want.walk.Time(want.walk.Len())
	for _, step := range append([]clock.Step{{Percent: 100}}, ladder...) {
		at, ok := want.fires(step)
		switch given := pending[step.ID]; {
		case ok && at.Before(end) && !given.Equal(at):
			t.Fatalf("%+v fires at %v, walked %v", step, given, at)
		case !ok && !given.IsZero() && given.Before(end):
			t.Fatalf("%+v fires at %v, by the walk not before %v", step, given, end)
		}
	}
}

// agreeNow looks at a clock as of an instant and at the receipt it then gives.
func agreeNow(t *rapid.T, got *clock.State, want *oracle, now time.Time) {
	minute := want.walk.Minute(now)
	if phase := got.PhaseAt(now); phase != want.phase(minute) {
		t.Fatalf("at %v it is %v, walked %v", now, phase, want.phase(minute))
	}
	if elapsed := want.elapsed(minute); got.Elapsed(now) != elapsed || got.Remaining(now) != max(0, want.target-elapsed) {
		t.Fatalf("at %v elapsed %v and remaining %v, walked %v of %v", now, got.Elapsed(now), got.Remaining(now), elapsed, want.target)
	}
	late, working := want.late(minute)
	if r, w := got.Overrun(now); r != late || w != working {
		t.Fatalf("at %v late by %v, %v; walked %v, %v", now, r, w, late, working)
	}
	if want.due == none && !got.Due.IsZero() {
		return // the receipt goes beyond the walk
	}
	r, err := got.Receipt(now)
	if err != nil {
		t.Fatal(err)
	}
	sums := want.sums(minute)
	for _, sum := range clock.Sums(r.Segments) {
		kind, length := clock.KindOf(sum), sum.GetLength().AsDuration()
		if sums[kind] != length || sum.GetCounted() != (kind == worktime.Working || kind == worktime.MakeUp) {
			t.Fatalf("the receipt has %v of %v, walked %v", length, kind, sums[kind])
		}
		delete(sums, kind)
	}
	if len(sums) > 0 || got.Due.IsZero() && r.Counted != want.elapsed(minute) {
		t.Fatalf("the receipt counts %v and leaves out %v", r.Counted, sums)
	}
	agreeSegments(t, got, &r, late)
}

// agreeSegments wants pieces without gaps from the start to the due time, and from there.
func agreeSegments(t *rapid.T, s *clock.State, r *clock.Receipt, late time.Duration) {
	at := s.Start
	for _, g := range r.Segments {
		if !g.Start.Equal(at) || !g.End.After(g.Start) || (g.Pause != nil) != (g.Kind == worktime.Paused) {
			t.Fatalf("segment %v after %v", g, at)
		}
		at = g.End
	}
	if !s.Due.IsZero() && (r.Counted != s.Target || !at.Equal(s.Due)) {
		t.Fatalf("segments count %v up to %v; the target is %v, due %v", r.Counted, at, s.Target, s.Due)
	}
	over := time.Duration(0)
	for _, g := range r.Overrun {
		over += g.End.Sub(g.Start)
	}
	if over != late {
		t.Fatalf("late by %v, segments of %v", late, over)
	}
}

func TestAgreesWithTheMinuteByMinuteWalk(t *testing.T) { rapid.Check(t, agree) }
