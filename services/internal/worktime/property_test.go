package worktime_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/minutewalk"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// window is how long a walk is: enough for the spring festival and a month's clocks.
const window = 40 * minutewalk.DayLength

func anyDefinition(t *rapid.T) (worktime.Definition, time.Time) {
	return minutewalk.AnyDefinition(t, minutewalk.AnyBegin, window/minutewalk.DayLength)
}

func mustNew(t interface{ Fatal(...any) }, d worktime.Definition) *worktime.Calendar {
	c, err := worktime.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// agree asks one random calendar ten questions of each kind and the oracle the same.
func agree(t *rapid.T) {
	d, begin := anyDefinition(t)
	c := mustNew(t, d)
	w := minutewalk.Over(d, begin, window)
	minute := rapid.IntRange(minutewalk.Margin, window-minutewalk.Margin)
	for range 10 {
		a, b := minute.Draw(t, "a"), minute.Draw(t, "b")
		if got := c.IsWorking(w.Time(a)); got != (w.Works(a)) {
			t.Fatalf("IsWorking(%v) = %v, by the walk %v", w.Time(a), got, w.Works(a))
		}
		if got := c.Between(w.Time(a), w.Time(b)); got != minutes(w.Between(a, b)) {
			t.Fatalf("Between(%v, %v) = %v, counted %v", w.Time(a), w.Time(b), got, minutes(w.Between(a, b)))
		}
		n := rapid.IntRange(0, 6*minutewalk.DayLength).Draw(t, "n")
		if want, ok := w.Add(a, n); ok {
			if got, err := c.Add(w.Time(a), minutes(n)); err != nil || !got.Equal(w.Time(want)) {
				t.Fatalf("Add(%v, %v) = %v, %v; counted up to %v", w.Time(a), minutes(n), got, err, w.Time(want))
			}
		}
		agreeDays(t, c, w, a, rapid.IntRange(0, 9).Draw(t, "days"))
		agreeCompute(t, c, w, a, n)
	}
	a := minute.Draw(t, "from")
	agreeSegments(t, c, w, a, rapid.IntRange(a, window-minutewalk.Margin).Draw(t, "to"))
}

func agreeDays(t *rapid.T, c *worktime.Calendar, w *minutewalk.Walk, start, n int) {
	working, ok := w.AddDays(start, n)
	if !ok {
		return
	}
	due, _ := w.Add(start, working)
	if got, err := c.WorkingTime(w.Time(start), n); err != nil || got != minutes(working) {
		t.Fatalf("WorkingTime(%v, %d) = %v, %v; counted %v", w.Time(start), n, got, err, minutes(working))
	}
	if got, err := c.AddWorkingDays(w.Time(start), n); err != nil || !got.Equal(w.Time(due)) {
		t.Fatalf("AddWorkingDays(%v, %d) = %v, %v; counted up to %v", w.Time(start), n, got, err, w.Time(due))
	}
}

func agreeCompute(t *rapid.T, c *worktime.Calendar, w *minutewalk.Walk, start, n int) {
	var pauses [][2]int
	var given []worktime.Pause
	for range rapid.IntRange(0, 4).Draw(t, "pauses") {
		from := rapid.IntRange(start-minutewalk.DayLength, start+8*minutewalk.DayLength).Draw(t, "pause")
		to := from + rapid.IntRange(0, 3*minutewalk.DayLength).Draw(t, "length")
		pauses = append(pauses, [2]int{from, to})
		given = append(given, worktime.Pause{Start: w.Time(from), End: w.Time(to)})
	}
	due, ok := w.AddAround(start, n, pauses)
	if !ok || due > window-minutewalk.Margin {
		return
	}
	got, err := c.Compute(w.Time(start), worktime.Target{WorkingTime: minutes(n)}, given)
	if err != nil || !got.Due.Equal(w.Time(due)) {
		t.Fatalf("Compute(%v, %v, %v) = %v, %v; counted up to %v", w.Time(start), minutes(n), given, got.Due, err, w.Time(due))
	}
	at, counted := start, time.Duration(0)
	for _, s := range got.Segments {
		if s.Counted {
			counted += s.End.Sub(s.Start)
		}
		for ; w.Time(at).Before(s.End); at++ {
			if want := minutewalk.Paused(at, pauses); want != (s.Kind == worktime.Paused) || w.Time(at).Before(s.Start) {
				t.Fatalf("at %v the segment is %v; paused: %v", w.Time(at), s, want)
			}
		}
	}
	if at != due || counted != minutes(n) {
		t.Fatalf("the segments of %v end at %v and count %v; due %v", minutes(n), w.Time(at), counted, w.Time(due))
	}
}

func agreeSegments(t *rapid.T, c *worktime.Calendar, w *minutewalk.Walk, from, to int) {
	got, err := c.Segments(w.Time(from), w.Time(to))
	if err != nil {
		t.Fatal(err)
	}
	at := from
	for i, s := range got {
		if !s.Start.Equal(w.Time(at)) || !s.End.After(s.Start) {
			t.Fatalf("segment %v begins elsewhere than %v or is empty", s, w.Time(at))
		}
		if i > 0 && got[i-1].Kind == s.Kind && got[i-1].Name == s.Name {
			t.Fatalf("segments %v and %v are one", got[i-1], s)
		}
		for ; w.Time(at).Before(s.End); at++ {
			kind, name := w.Kind(at)
			if s.Kind != kind || s.Name != name || s.Counted != (w.Works(at)) {
				t.Fatalf("at %v the segment is %v, the minute %v %v", w.Time(at), s, kind, name)
			}
		}
	}
	if at != to {
		t.Fatalf("the segments end at %v, not at %v", w.Time(at), w.Time(to))
	}
}

func TestAgreesWithTheMinuteByMinuteWalk(t *testing.T) { rapid.Check(t, agree) }

// laws holds to the nanosecond and over years.
func laws(t *rapid.T) {
	d, begin := anyDefinition(t)
	c := mustNew(t, d)
	a := begin.Add(time.Duration(rapid.Int64Range(0, int64(400*24*time.Hour)).Draw(t, "a")))
	n := time.Duration(rapid.Int64Range(0, int64(2000*time.Hour)).Draw(t, "n"))
	more := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "more"))
	// The rarest weeks do not hold that much before the last year that calendars know.
	if _, err := c.Add(a.Add(more), n+more); rpcerr.Reason(err) == worktime.ReasonNeverReached {
		t.Skip("never reached")
	}
	due := mustAdd(t, c, a, n)
	if got := c.Between(a, due); got != n {
		t.Fatalf("Between(%v, Add(%v)) = %v", a, n, got)
	}
	if n > 0 && (c.Between(a, due.Add(-1)) != n-1 || !c.IsWorking(due.Add(-1))) {
		t.Fatalf("%v + %v is complete before %v", a, n, due)
	}
	if later := mustAdd(t, c, a, n+more); later.Before(due) || !later.Equal(mustAdd(t, c, due, more)) {
		t.Fatalf("%v + %v is %v, + %v more %v", a, n, due, more, later)
	}
	b := a.Add(more)
	if mustAdd(t, c, b, n).Before(due) {
		t.Fatalf("%v later is due earlier than %v", b, due)
	}
	if c.Between(a, b) != -c.Between(b, a) || c.Between(a, b)+c.Between(b, due) != c.Between(a, due) {
		t.Fatalf("Between does not add up over %v, %v, %v", a, b, due)
	}
	segments, err := c.Segments(a, due)
	if err != nil {
		t.Fatal(err)
	}
	var whole, counted time.Duration
	for _, s := range segments {
		whole += s.End.Sub(s.Start)
		if s.Counted {
			counted += s.End.Sub(s.Start)
		}
	}
	if whole != due.Sub(a) || counted != n {
		t.Fatalf("segments of %v count %v of %v, %v of %v", segments, counted, n, whole, due.Sub(a))
	}
}

func mustAdd(t interface{ Fatal(...any) }, c *worktime.Calendar, start time.Time, n time.Duration) time.Time {
	due, err := c.Add(start, n)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

func TestLaws(t *testing.T) { rapid.Check(t, laws) }
