package clock_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// held says whether a minute lies in a pause that counts, by the log alone.
func paused(log []clock.Entry, reasons []string, at, stop time.Time) bool {
	if !stop.IsZero() && !at.Before(stop) {
		return false
	}
	for i, from := range log {
		if from.Type != clock.EntryPaused || !slices.Contains(reasons, from.Reason) || at.Before(from.At) {
			continue
		}
		over := false
		for _, to := range log[i+1:] {
			if to.Type == clock.EntryResumed && to.Reason == from.Reason {
				over = !at.Before(to.At)
				break
			}
		}
		if !over {
			return true
		}
	}
	return false
}

// oracle judges a log by walking from its start minute by minute.
type oracle struct {
	target       time.Duration
	due          time.Time // zero: never within the walk
	phase        clock.Phase
	elapsed      time.Duration
	start, stop  time.Time
	countedUntil func(time.Time) time.Duration
}

const walkDays = 70

func walk(log []clock.Entry, calendars map[string]*worktime.Calendar, now time.Time) oracle {
	var o oracle
	var terms *clock.Terms
	cancelled := false
	for _, e := range log {
		if e.Terms != nil {
			terms = e.Terms
		}
		if e.Type == clock.EntryStopped || e.Type == clock.EntryCancelled {
			o.stop, cancelled = e.At, e.Type == clock.EntryCancelled
			if o.stop.Before(log[0].At) {
				o.stop = log[0].At
			}
		}
	}
	o.start, o.target = log[0].At, terms.WorkingTime
	cal := calendars[terms.CalendarID]
	counts := make([]bool, walkDays*24*60)
	for i := range counts {
		at := o.start.Add(time.Duration(i) * time.Minute)
		counts[i] = cal.IsWorking(at) && !paused(log, terms.PauseReasons, at, o.stop)
	}
	due := func() time.Time {
		left := int(o.target / time.Minute)
		for i, c := range counts {
			if c {
				left--
			}
			if left == 0 {
				return o.start.Add(time.Duration(i+1) * time.Minute)
			}
		}
		return time.Time{}
	}
	o.countedUntil = func(until time.Time) (sum time.Duration) {
		for i, c := range counts {
			if at := o.start.Add(time.Duration(i) * time.Minute); c && at.Before(until) {
				sum += time.Minute
			}
		}
		return sum
	}
	for _, e := range log {
		if e.Type == clock.EntryExtended {
			if d := due(); d.IsZero() || !e.At.After(d) {
				o.target = max(o.target, o.countedUntil(e.At)+e.Amount)
			}
		}
	}
	o.due = due()
	until := now
	if !o.stop.IsZero() {
		until = o.stop
	}
	o.elapsed = o.countedUntil(until)
	late := !o.due.IsZero() && until.After(o.due)
	switch {
	case o.stop.IsZero() && late:
		o.phase = clock.Missed
	case o.stop.IsZero() && o.due.IsZero():
		o.phase = clock.Paused
	case o.stop.IsZero():
		o.phase = clock.Running
	case late:
		o.phase = clock.Missed
	case cancelled:
		o.phase = clock.Cancelled
	default:
		o.phase = clock.Met
	}
	return o
}

func calendars(t interface{ Fatal(...any) }) map[string]*worktime.Calendar {
	china, err := worktime.China()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*worktime.Calendar{"china-standard": china}
	var always, night worktime.Definition
	always.TimeZone, night.TimeZone = "UTC", "America/New_York"
	for d := time.Sunday; d <= time.Saturday; d++ {
		always.Week = append(always.Week, worktime.Hours{Weekday: d, Open: 0, Close: 24 * 60})
		if d != time.Sunday {
			night.Week = append(night.Week, worktime.Hours{Weekday: d, Open: 22 * 60, Close: 30 * 60})
		}
	}
	for id, d := range map[string]worktime.Definition{"always": always, "night": night} {
		cal, err := worktime.New(d)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = cal
	}
	return out
}

var ladder = []clock.Step{
	{ID: "warn-50", Percent: 50, Role: clock.RoleOwner},
	{ID: "warn-80", Percent: 80, Role: clock.RoleOwner},
	{ID: "supervisor", Percent: 100, Escalate: true, Role: "service-supervisor"},
	{ID: "manager", Percent: 150, Escalate: true, Role: "service-manager"},
}

func anyTerms(t *rapid.T, cals map[string]*worktime.Calendar, start time.Time) *clock.Terms {
	terms := clock.Terms{CalendarID: rapid.SampledFrom([]string{"always", "china-standard", "night"}).Draw(t, "calendar"), Ladder: ladder}
	if rapid.Bool().Draw(t, "inDays") {
		terms.Target.WorkingDays = rapid.IntRange(1, 7).Draw(t, "days")
	} else {
		terms.Target.WorkingTime = time.Duration(rapid.IntRange(1, 3000).Draw(t, "minutes")) * time.Minute
	}
	terms.PauseReasons = rapid.SampledFrom([][]string{nil, {"a"}, {"b"}, {"a", "b"}}).Draw(t, "pauses")
	resolved, err := terms.Resolve(cals[terms.CalendarID], "1", start)
	if err != nil {
		t.Fatal(err)
	}
	return &resolved
}

// anyLog draws a history; now and then the machine's clock jumps back.
func anyLog(t *rapid.T, cals map[string]*worktime.Calendar) ([]clock.Entry, time.Time) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 300*24*60).Draw(t, "start")) * time.Minute)
	log := []clock.Entry{{Position: 1, Type: clock.EntryStarted, At: at, Terms: anyTerms(t, cals, at)}}
	open := map[string]bool{}
	for range rapid.IntRange(0, 8).Draw(t, "entries") {
		step := rapid.SampledFrom([]int{60, 24 * 60, 4 * 24 * 60}).Draw(t, "scale")
		at = at.Add(time.Duration(rapid.IntRange(-step/10, step).Draw(t, "step")) * time.Minute)
		e := clock.Entry{Position: int64(len(log) + 1), At: at, RecordTime: at}
		reason := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "reason")
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0, 1, 2:
			e.Type, e.Reason = clock.EntryPaused, reason
			if open[reason] {
				e.Type = clock.EntryResumed
			}
			open[reason] = !open[reason]
		case 3:
			e.Type, e.Terms = clock.EntryRetargeted, anyTerms(t, cals, log[0].At)
		case 4:
			e.Type, e.Amount = clock.EntryExtended, time.Duration(rapid.IntRange(1, 600).Draw(t, "amount"))*time.Minute
		case 5:
			e.Type = clock.EntryMissed
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

// agree folds one random log and lets the oracle walk it.
func agree(t *rapid.T) {
	cals := calendars(t)
	log, now := anyLog(t, cals)
	var terms *clock.Terms
	for _, e := range log {
		if e.Terms != nil {
			terms = e.Terms
		}
	}
	got, err := clock.Fold(log, cals[terms.CalendarID])
	if err != nil {
		t.Fatal(err)
	}
	want := walk(log, cals, now)
	// A due time beyond the walk is none to the oracle.
	if !(want.due.IsZero() && got.Due.After(want.start.Add(walkDays*24*time.Hour-time.Minute))) && !got.Due.Equal(want.due) {
		t.Fatalf("due %v, walked %v", got.Due, want.due)
	}
	if got.Target != want.target || got.PhaseAt(now) != want.phase {
		t.Fatalf("target %v, %v; walked %v, %v", got.Target, got.PhaseAt(now), want.target, want.phase)
	}
	if now.Before(got.Start) || !got.Due.IsZero() && now.After(got.Due) {
		return
	}
	if elapsed := got.Elapsed(now); elapsed != want.elapsed || got.Remaining(now) != want.target-want.elapsed {
		t.Fatalf("elapsed %v, walked %v", elapsed, want.elapsed)
	}
	for _, f := range got.Pending {
		for _, s := range ladder {
			if s.ID != f.Step || s.Percent >= 100 {
				continue
			}
			n := want.countedUntil(f.At)
			if share := want.target * time.Duration(s.Percent) / 100; n < share.Truncate(time.Minute) || n > share+time.Minute {
				t.Fatalf("%s at %v with %v of %v counted", f.Step, f.At, n, want.target)
			}
		}
	}
}

func TestAgreesWithTheMinuteByMinuteWalk(t *testing.T) { rapid.Check(t, agree) }

// receipts add up whatever happened.
func receipts(t *rapid.T) {
	cals := calendars(t)
	log, now := anyLog(t, cals)
	var terms *clock.Terms
	for _, e := range log {
		if e.Terms != nil {
			terms = e.Terms
		}
	}
	s, err := clock.Fold(log, cals[terms.CalendarID])
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Receipt(now)
	if err != nil {
		t.Fatal(err)
	}
	at, counted := s.Start, time.Duration(0)
	for _, g := range r.Segments {
		if !g.Start.Equal(at) || !g.End.After(g.Start) || (g.Pause != nil) != (g.Kind == worktime.Paused) {
			t.Fatalf("segment %v after %v", g, at)
		}
		if g.Counted {
			counted += g.End.Sub(g.Start)
		}
		at = g.End
	}
	if counted != r.Counted || !s.Due.IsZero() && (counted != s.Target || !at.Equal(s.Due)) {
		t.Fatalf("segments count %v up to %v; the target is %v, due %v", counted, at, s.Target, s.Due)
	}
	if s.Due.IsZero() && counted != s.Elapsed(now) {
		t.Fatalf("segments count %v, elapsed is %v", counted, s.Elapsed(now))
	}
	if real, _ := s.Overrun(now); real > 0 {
		if n := len(r.Overrun); n == 0 || r.Overrun[n-1].End.Sub(s.Due) != real {
			t.Fatalf("late by %v, segments %v", real, r.Overrun)
		}
	}
}

func TestReceiptsAddUp(t *testing.T) { rapid.Check(t, receipts) }

func TestMalformedLogs(t *testing.T) {
	cals := calendars(t)
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	terms := &clock.Terms{CalendarID: "always", WorkingTime: time.Hour}
	start := clock.Entry{Position: 1, Type: clock.EntryStarted, At: at, Terms: terms}
	stop := clock.Entry{Position: 2, Type: clock.EntryStopped, At: at}
	for name, log := range map[string][]clock.Entry{
		"empty":           nil,
		"no start":        {{Position: 1, Type: clock.EntryPaused, At: at}},
		"two starts":      {start, {Position: 2, Type: clock.EntryStarted, At: at, Terms: terms}},
		"a gap":           {start, {Position: 3, Type: clock.EntryPaused, At: at}},
		"no target":       {{Position: 1, Type: clock.EntryStarted, At: at}},
		"resumed first":   {start, {Position: 2, Type: clock.EntryResumed, At: at}},
		"paused twice":    {start, {Position: 2, Type: clock.EntryPaused}, {Position: 3, Type: clock.EntryPaused}},
		"after the end":   {start, stop, {Position: 3, Type: clock.EntryPaused}},
		"stopped twice":   {start, stop, {Position: 3, Type: clock.EntryStopped}},
		"owned by no one": {start, {Position: 2, Type: clock.EntryHandedOver}},
		"unknown":         {start, {Position: 2, Type: 99}},
	} {
		if _, err := clock.Fold(log, cals["always"]); !errors.Is(err, clock.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnExtensionAfterDueChangesNothing(t *testing.T) {
	cals := calendars(t)
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]time.Duration{
		30 * time.Minute: 90 * time.Minute, time.Hour: 2 * time.Hour, 61 * time.Minute: time.Hour,
	} {
		s, err := clock.Fold([]clock.Entry{
			{Position: 1, Type: clock.EntryStarted, At: at, Terms: &clock.Terms{CalendarID: "always", WorkingTime: time.Hour}},
			{Position: 2, Type: clock.EntryExtended, At: at.Add(after), Amount: time.Hour},
		}, cals["always"])
		if err != nil || s.Target != want {
			t.Errorf("extended after %v the target is %v, want %v, %v", after, s.Target, want, err)
		}
	}
}
