package worktime_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// window is how long a walk is: enough for the spring festival and a month's clocks.
const window = 40 * dayLength

func zones() []string {
	return []string{"Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe",
		"Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Beirut", "UTC"}
}

// anyHours draws the intervals of a day that begin at base or later and end within 24 hours.
func anyHours(t *rapid.T, base int) []worktime.Interval {
	marks := rapid.SliceOfNDistinct(rapid.IntRange(0, dayLength), 2, 6, rapid.ID).Draw(t, "marks")
	slices.Sort(marks)
	if base+marks[0] >= dayLength {
		marks[0] = 0
	}
	var out []worktime.Interval
	for i := 0; i+1 < len(marks); i += 2 {
		out = append(out, worktime.Interval{Open: worktime.TimeOfDay(base + marks[i]), Close: worktime.TimeOfDay(base + marks[i+1])})
	}
	return out
}

// anyWeek draws the hours of a week: an office's, day and night, or anything else. base is
// the time at which every day's shift may begin at the earliest.
func anyWeek(t *rapid.T) (week []worktime.Hours, base int) {
	switch rapid.IntRange(0, 5).Draw(t, "week") {
	case 0:
		for d := time.Monday; d <= time.Friday; d++ {
			week = append(week, worktime.Hours{Weekday: d, Open: 540, Close: 720}, worktime.Hours{Weekday: d, Open: 780, Close: 1080})
		}
		return week, 0
	case 1:
		for d := time.Sunday; d <= time.Saturday; d++ {
			week = append(week, worktime.Hours{Weekday: d, Open: 0, Close: dayLength})
		}
		return week, 0
	}
	base = rapid.SampledFrom([]int{0, 0, 150, 480, 1320, 1439}).Draw(t, "base")
	for d := time.Sunday; d <= time.Saturday; d++ {
		if len(week) > 0 && rapid.IntRange(0, 2).Draw(t, "closed") == 0 {
			continue
		}
		for _, h := range anyHours(t, base) {
			week = append(week, worktime.Hours{Weekday: d, Open: h.Open, Close: h.Close})
		}
	}
	return week, base
}

// anyBegin draws the start of a walk, near a change of the clock or of the year more often than not.
func anyBegin(t *rapid.T, loc *time.Location) time.Time {
	at := time.Unix(rapid.Int64Range(800_000_000, 2_800_000_000).Draw(t, "at")/60*60, 0)
	if loc.String() == "Pacific/Apia" && rapid.Bool().Draw(t, "dateLine") {
		at = time.Date(2011, 12, 1, 0, 0, 0, 0, time.UTC)
	}
	_, change := at.In(loc).ZoneBounds()
	switch near := rapid.IntRange(0, 4).Draw(t, "near"); {
	case near == 0:
		change = time.Date(at.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		fallthrough
	case near < 4 && !change.IsZero():
		at = change.Add(-time.Duration(rapid.IntRange(margin, 10*dayLength).Draw(t, "ahead")) * time.Minute)
	}
	return at.UTC().Truncate(time.Minute)
}

func anyDefinition(t *rapid.T) (worktime.Definition, time.Time) {
	d := worktime.Definition{TimeZone: rapid.SampledFrom(zones()).Draw(t, "zone")}
	loc, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	var base int
	d.Week, base = anyWeek(t)
	begin := anyBegin(t, loc)
	fixed := base == 0 && d.Week[0].Close != dayLength
	years := map[int]*worktime.Year{}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, window/dayLength), 0, 8, rapid.ID).Draw(t, "dates") {
		at := begin.AddDate(0, 0, n)
		day := worktime.Day{
			Date: worktime.Date{Year: at.Year(), Month: at.Month(), Day: at.Day()},
			Kind: rapid.SampledFrom([]worktime.DayKind{worktime.Holiday, worktime.Workday}).Draw(t, "kind"),
			Name: worktime.Name{ZH: rapid.SampledFrom([]string{"春节", "国庆节"}).Draw(t, "name")},
		}
		if day.Kind == worktime.Workday && (fixed || base > 0) && rapid.Bool().Draw(t, "own") {
			day.Hours = anyHours(t, base)
		}
		if years[at.Year()] == nil {
			years[at.Year()] = &worktime.Year{Year: at.Year(), Status: worktime.Official}
		}
		years[at.Year()].Days = append(years[at.Year()].Days, day)
	}
	for _, y := range years {
		d.Years = append(d.Years, *y)
	}
	return d, begin
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
	w := walked(d, begin, window)
	minute := rapid.IntRange(margin, window-margin)
	for range 10 {
		a, b := minute.Draw(t, "a"), minute.Draw(t, "b")
		if got := c.IsWorking(w.time(a)); got != (w.owner[a] != nobody) {
			t.Fatalf("IsWorking(%v) = %v, the day that owns it is %d", w.time(a), got, w.owner[a])
		}
		if got := c.Between(w.time(a), w.time(b)); got != minutes(w.between(a, b)) {
			t.Fatalf("Between(%v, %v) = %v, counted %v", w.time(a), w.time(b), got, minutes(w.between(a, b)))
		}
		n := rapid.IntRange(0, 6*dayLength).Draw(t, "n")
		if want, ok := w.add(a, n); ok {
			if got, err := c.Add(w.time(a), minutes(n)); err != nil || !got.Equal(w.time(want)) {
				t.Fatalf("Add(%v, %v) = %v, %v; counted up to %v", w.time(a), minutes(n), got, err, w.time(want))
			}
		}
		agreeDays(t, c, w, a, rapid.IntRange(0, 9).Draw(t, "days"))
		agreeCompute(t, c, w, a, n)
	}
	a := minute.Draw(t, "from")
	agreeSegments(t, c, w, a, rapid.IntRange(a, window-margin).Draw(t, "to"))
}

func agreeDays(t *rapid.T, c *worktime.Calendar, w *walk, start, n int) {
	working, ok := w.addDays(start, n)
	if !ok {
		return
	}
	due, _ := w.add(start, working)
	if got, err := c.WorkingTime(w.time(start), n); err != nil || got != minutes(working) {
		t.Fatalf("WorkingTime(%v, %d) = %v, %v; counted %v", w.time(start), n, got, err, minutes(working))
	}
	if got, err := c.AddWorkingDays(w.time(start), n); err != nil || !got.Equal(w.time(due)) {
		t.Fatalf("AddWorkingDays(%v, %d) = %v, %v; counted up to %v", w.time(start), n, got, err, w.time(due))
	}
}

func agreeCompute(t *rapid.T, c *worktime.Calendar, w *walk, start, n int) {
	var pauses [][2]int
	var given []worktime.Pause
	for range rapid.IntRange(0, 4).Draw(t, "pauses") {
		from := rapid.IntRange(start-dayLength, start+8*dayLength).Draw(t, "pause")
		to := from + rapid.IntRange(0, 3*dayLength).Draw(t, "length")
		pauses = append(pauses, [2]int{from, to})
		given = append(given, worktime.Pause{Start: w.time(from), End: w.time(to)})
	}
	due, ok := w.addAround(start, n, pauses)
	if !ok || due > window-margin {
		return
	}
	got, err := c.Compute(w.time(start), worktime.Target{WorkingTime: minutes(n)}, given)
	if err != nil || !got.Due.Equal(w.time(due)) {
		t.Fatalf("Compute(%v, %v, %v) = %v, %v; counted up to %v", w.time(start), minutes(n), given, got.Due, err, w.time(due))
	}
	at, counted := start, time.Duration(0)
	for _, s := range got.Segments {
		if s.Counted {
			counted += s.End.Sub(s.Start)
		}
		for ; w.time(at).Before(s.End); at++ {
			if want := paused(at, pauses); want != (s.Kind == worktime.Paused) || w.time(at).Before(s.Start) {
				t.Fatalf("at %v the segment is %v; paused: %v", w.time(at), s, want)
			}
		}
	}
	if at != due || counted != minutes(n) {
		t.Fatalf("the segments of %v end at %v and count %v; due %v", minutes(n), w.time(at), counted, w.time(due))
	}
}

func agreeSegments(t *rapid.T, c *worktime.Calendar, w *walk, from, to int) {
	got, err := c.Segments(w.time(from), w.time(to))
	if err != nil {
		t.Fatal(err)
	}
	at := from
	for i, s := range got {
		if !s.Start.Equal(w.time(at)) || !s.End.After(s.Start) {
			t.Fatalf("segment %v begins elsewhere than %v or is empty", s, w.time(at))
		}
		if i > 0 && got[i-1].Kind == s.Kind && got[i-1].Name == s.Name {
			t.Fatalf("segments %v and %v are one", got[i-1], s)
		}
		for ; w.time(at).Before(s.End); at++ {
			kind, name := w.kind(at)
			if s.Kind != kind || s.Name != name || s.Counted != (w.owner[at] != nobody) {
				t.Fatalf("at %v the segment is %v, the minute %v %v", w.time(at), s, kind, name)
			}
		}
	}
	if at != to {
		t.Fatalf("the segments end at %v, not at %v", w.time(at), w.time(to))
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
