package worktime_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

func china(t testing.TB) *worktime.Calendar {
	t.Helper()
	c, err := worktime.China()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dayAndNight(t testing.TB, zone string) *worktime.Calendar {
	d := worktime.Definition{TimeZone: zone}
	for w := time.Sunday; w <= time.Saturday; w++ {
		d.Week = append(d.Week, worktime.Hours{Weekday: w, Open: 0, Close: 24 * 60})
	}
	return mustNew(t, d)
}

// in reads a wall clock.
func in(t testing.TB, c *worktime.Calendar, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, c.Location())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWorkingDaysOfChina(t *testing.T) {
	c := china(t)
	for _, test := range []struct {
		name, start string
		days        int
		due         string
		working     time.Duration
	}{
		{"Monday 09:00 + 3 wd is Wednesday's close", "2026-03-02 09:00:00", 3, "2026-03-04 18:00:00", 24 * time.Hour},
		{"over the make-up Saturday and the Spring Festival", "2026-02-13 17:50:00", 2, "2026-02-24 17:50:00", 16 * time.Hour},
		{"one wd ends on the make-up Saturday", "2026-02-13 17:50:00", 1, "2026-02-14 17:50:00", 8 * time.Hour},
		{"created on a holiday", "2026-02-18 10:00:00", 1, "2026-02-24 18:00:00", 8 * time.Hour},
		{"created on a make-up workday", "2026-02-28 10:00:00", 1, "2026-03-02 10:00:00", 8 * time.Hour},
		{"created at night", "2026-03-03 23:30:00", 1, "2026-03-04 18:00:00", 8 * time.Hour},
		{"created at lunch", "2026-03-03 12:30:00", 1, "2026-03-04 12:00:00", 8 * time.Hour},
		{"created after lunch", "2026-03-03 13:00:00", 1, "2026-03-04 12:00:00", 8 * time.Hour},
		{"one second before closing", "2026-03-03 17:59:59", 1, "2026-03-04 17:59:59", 8 * time.Hour},
		{"at closing", "2026-03-03 18:00:00", 1, "2026-03-04 18:00:00", 8 * time.Hour},
		{"no days are complete at once", "2026-02-18 10:00:00", 0, "2026-02-18 10:00:00", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := in(t, c, test.start)
			due, err := c.AddWorkingDays(start, test.days)
			if err != nil || !due.Equal(in(t, c, test.due)) {
				t.Errorf("due %v, %v; want %s", due.In(c.Location()), err, test.due)
			}
			if working, err := c.WorkingTime(start, test.days); err != nil || working != test.working {
				t.Errorf("working time %v, %v; want %v", working, err, test.working)
			}
			if got := c.Between(start, due); got != test.working {
				t.Errorf("counted %v, want %v", got, test.working)
			}
		})
	}
}

func TestWorkingTimeOfChina(t *testing.T) {
	c := china(t)
	for _, test := range []struct {
		name, start string
		working     time.Duration
		due         string
	}{
		{"complete at the close, not at the next opening", "2026-03-06 16:00:00", 2 * time.Hour, "2026-03-06 18:00:00"},
		{"complete before lunch", "2026-03-06 10:00:00", 2 * time.Hour, "2026-03-06 12:00:00"},
		{"over lunch", "2026-03-06 11:00:00", 2 * time.Hour, "2026-03-06 14:00:00"},
		{"over the weekend", "2026-03-06 17:00:00", 2 * time.Hour, "2026-03-09 10:00:00"},
		{"Friday evening into the make-up Saturday", "2026-02-13 17:50:00", 2 * time.Hour, "2026-02-14 10:50:00"},
		{"one second before closing", "2026-02-14 17:59:59", 2 * time.Second, "2026-02-24 09:00:01"},
		{"nothing outside working time", "2026-03-07 10:00:00", 0, "2026-03-07 10:00:00"},
		{"a leap day", "2024-02-28 17:00:00", 10 * time.Hour, "2024-03-01 10:00:00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if due := mustAdd(t, c, in(t, c, test.start), test.working); !due.Equal(in(t, c, test.due)) {
				t.Errorf("due %v, want %s", due.In(c.Location()), test.due)
			}
		})
	}
}

func TestComplaintReceivedFridayEvening(t *testing.T) {
	c := dayAndNight(t, "Asia/Shanghai")
	at := in(t, c, "2026-03-06 20:00:00")
	for _, step := range []struct {
		limit time.Duration
		due   string
	}{{time.Hour, "2026-03-06 21:00:00"}, {time.Hour, "2026-03-06 22:00:00"},
		{2 * time.Hour, "2026-03-07 00:00:00"}, {24 * time.Hour, "2026-03-08 00:00:00"}} {
		if at = mustAdd(t, c, at, step.limit); !at.Equal(in(t, c, step.due)) {
			t.Fatalf("%v later is %v, want %s", step.limit, at.In(c.Location()), step.due)
		}
	}
}

func TestChangesOfTheClock(t *testing.T) {
	night := func(zone string) *worktime.Calendar {
		d := worktime.Definition{TimeZone: zone}
		for w := time.Sunday; w <= time.Saturday; w++ {
			d.Week = append(d.Week, worktime.Hours{Weekday: w, Open: 22 * 60, Close: 30 * 60})
		}
		return mustNew(t, d)
	}
	berlin, howe, apia := night("Europe/Berlin"), night("Australia/Lord_Howe"), dayAndNight(t, "Pacific/Apia")
	for _, test := range []struct {
		name     string
		c        *worktime.Calendar
		from, to string
		want     time.Duration
	}{
		{"an ordinary night", berlin, "2026-03-27 22:00:00", "2026-03-28 06:00:00", 8 * time.Hour},
		{"a skipped hour does not count", berlin, "2026-03-28 22:00:00", "2026-03-29 06:00:00", 7 * time.Hour},
		{"a repeated hour counts twice", berlin, "2026-10-24 22:00:00", "2026-10-25 06:00:00", 9 * time.Hour},
		{"half an hour is skipped", howe, "2026-10-03 22:00:00", "2026-10-04 06:00:00", 7*time.Hour + 30*time.Minute},
		{"half an hour is repeated", howe, "2026-04-04 22:00:00", "2026-04-05 06:00:00", 8*time.Hour + 30*time.Minute},
		{"a date is skipped", apia, "2011-12-29 00:00:00", "2011-12-31 00:00:00", 24 * time.Hour},
		{"a leap year's last day, far ahead", berlin, "2040-12-31 22:00:00", "2041-07-01 06:00:00", 182*8*time.Hour - time.Hour},
	} {
		if got := test.c.Between(in(t, test.c, test.from), in(t, test.c, test.to)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	// By the wall clock: a working day later is the same reading, however long the day was.
	c := dayAndNight(t, "Europe/Berlin")
	if due, err := c.AddWorkingDays(in(t, c, "2026-03-28 12:00:00"), 1); err != nil || !due.Equal(in(t, c, "2026-03-29 12:00:00")) {
		t.Errorf("1 wd over the change is %v, %v", due, err)
	}
	// 30 December 2011 was no day in Apia, so it is no working day.
	if due, err := apia.AddWorkingDays(in(t, apia, "2011-12-29 12:00:00"), 1); err != nil || !due.Equal(in(t, apia, "2011-12-31 12:00:00")) {
		t.Errorf("1 wd over the date line is %v, %v", due, err)
	}
	// A night shift belongs to the day it begins on: Tuesday 02:00 is Monday's.
	if due, err := berlin.AddWorkingDays(in(t, berlin, "2026-03-03 02:00:00"), 1); err != nil || !due.Equal(in(t, berlin, "2026-03-04 02:00:00")) {
		t.Errorf("1 wd from the night shift is %v, %v", due, err)
	}
}

func TestUnknownYearsAreNamed(t *testing.T) {
	c := china(t)
	got, err := c.Compute(in(t, c, "2026-12-31 10:00:00"), worktime.Target{WorkingDays: 1}, nil)
	if err != nil || !slices.Equal(got.Basis.Assumed, []int{2027}) || !got.Due.Equal(in(t, c, "2027-01-01 10:00:00")) {
		t.Errorf("%v, %v; want plain weeks assumed for 2027", got, err)
	}
	if b := c.Basis(in(t, c, "2026-01-01 00:00:00"), in(t, c, "2027-01-01 00:00:00")); len(b.Assumed) > 0 {
		t.Errorf("the year 2026 rests on %v", b)
	}
	d := c.Definition()
	d.Years = append(d.Years, worktime.Year{Year: 2027, Status: worktime.Provisional, Days: []worktime.Day{
		{Date: worktime.Date{Year: 2027, Month: 1, Day: 1}, Kind: worktime.Holiday, Name: worktime.Name{ZH: "元旦"}}}})
	loaded := mustNew(t, d)
	got, err = loaded.Compute(in(t, c, "2026-12-31 10:00:00"), worktime.Target{WorkingDays: 1}, nil)
	if err != nil || !slices.Equal(got.Basis.Provisional, []int{2027}) || got.Basis.Assumed != nil || !got.Due.Equal(in(t, c, "2027-01-04 10:00:00")) {
		t.Errorf("%v, %v; want the loaded holiday to move the due time and 2027 to be provisional", got, err)
	}
	if c.Status(2027) != worktime.Missing || loaded.Status(2027) != worktime.Provisional || dayAndNight(t, "UTC").Status(2027) != worktime.Official {
		t.Error("loading a year changed the calendar it came from, or a calendar without dates misses some")
	}
}

func TestReceiptOverTheSpringFestival(t *testing.T) {
	c := china(t)
	start := in(t, c, "2026-02-13 17:50:00")
	hold := worktime.Pause{Start: in(t, c, "2026-02-14 10:00:00"), End: in(t, c, "2026-02-24 11:00:00"), Name: worktime.Name{EN: "customer"}}
	late := worktime.Pause{Start: in(t, c, "2026-02-25 17:50:00"), End: in(t, c, "2026-02-25 17:55:00")}
	got, err := c.Compute(start, worktime.Target{WorkingDays: 2}, []worktime.Pause{late, hold})
	if err != nil {
		t.Fatal(err)
	}
	// 10 min + 1 h are counted before the hold, 6 h after it on the 24th, 7 h 55 min on the 25th.
	if want := in(t, c, "2026-02-26 09:55:00"); got.WorkingTime != 16*time.Hour || !got.Due.Equal(want) {
		t.Fatalf("due %v of %v, want %v", got.Due.In(c.Location()), got.WorkingTime, want)
	}
	kinds := []worktime.Kind{worktime.Working, worktime.OutsideHours, worktime.MakeUp, worktime.Paused, worktime.Working, worktime.Lunch,
		worktime.Working, worktime.OutsideHours, worktime.Working, worktime.Lunch, worktime.Working, worktime.Paused, worktime.Working,
		worktime.OutsideHours, worktime.Working}
	var have []worktime.Kind
	var counted time.Duration
	for _, s := range got.Segments {
		have = append(have, s.Kind)
		if s.Counted {
			counted += s.End.Sub(s.Start)
		}
	}
	if !slices.Equal(have, kinds) || counted != 16*time.Hour || got.Segments[3].Name.EN != "customer" || got.Segments[2].Name.ZH != "春节" {
		t.Errorf("segments %v count %v", got.Segments, counted)
	}
	plain, err := c.Segments(in(t, c, "2026-02-14 18:00:00"), in(t, c, "2026-02-24 09:00:00"))
	if err != nil || len(plain) != 3 || plain[1].Kind != worktime.OnHoliday || plain[1].Name.EN != "Spring Festival" ||
		plain[1].End.Sub(plain[1].Start) != 9*24*time.Hour {
		t.Errorf("the festival is %v, %v; want one holiday of nine days", plain, err)
	}
}

func TestPausesThatTouchStayApart(t *testing.T) {
	c := china(t)
	at := func(s string) time.Time { return in(t, c, "2026-03-03 "+s) }
	got, err := c.Segments(at("09:00:00"), at("12:00:00"),
		worktime.Pause{Start: at("10:00:00"), End: at("10:30:00"), Name: worktime.Name{EN: "same"}},
		worktime.Pause{Start: at("09:30:00"), End: at("10:00:00"), Name: worktime.Name{EN: "same"}},
		worktime.Pause{Start: at("11:00:00"), End: at("11:00:00")},
		worktime.Pause{Start: at("10:15:00"), End: at("10:45:00"), Name: worktime.Name{EN: "inside"}})
	if err != nil || len(got) != 4 || !got[1].End.Equal(at("10:00:00")) || !got[2].End.Equal(at("10:45:00")) || got[2].Name.EN != "same" {
		t.Errorf("segments %v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	c := china(t)
	start := in(t, c, "2026-03-03 10:00:00")
	rare := mustNew(t, worktime.Definition{TimeZone: "UTC", Week: []worktime.Hours{{Weekday: time.Sunday, Open: 0, Close: 1}}})
	for _, test := range []struct {
		field string
		call  func() error
	}{
		{"start", func() error { _, err := c.Add(time.Time{}, 1); return err }},
		{"start", func() error { _, err := c.AddWorkingDays(start.AddDate(200, 0, 0), 1); return err }},
		{"working_time", func() error { _, err := c.Add(start, -1); return err }},
		{"working_days", func() error { _, err := c.AddWorkingDays(start, -1); return err }},
		{"", func() error { _, err := rare.Add(start, 1000*time.Hour); return err }},
		{"", func() error { _, err := rare.AddWorkingDays(start, 10_000); return err }},
		{"", func() error { _, err := c.AddWorkingDays(start, 1<<62); return err }},
		{"", func() error { _, err := c.Add(start, 1<<63-1); return err }},
		{"end", func() error { _, err := c.Segments(start, start.Add(-1)); return err }},
		{"working_days", func() error {
			_, err := c.Compute(start, worktime.Target{WorkingTime: 1, WorkingDays: 1}, nil)
			return err
		}},
		{"pauses[1].end", func() error {
			_, err := c.Compute(start, worktime.Target{}, []worktime.Pause{{Start: start, End: start}, {Start: start, End: start.Add(-1)}})
			return err
		}},
	} {
		if fields := violations(test.call()); test.field != "" && !slices.Contains(fields, test.field) || len(fields) == 0 {
			t.Errorf("%v, want a refusal of %q", fields, test.field)
		}
	}
	if c.IsWorking(time.Time{}) || c.Between(time.Time{}, time.Unix(0, 0)) != 0 {
		t.Error("there is working time before 1970")
	}
}

func TestOneCalendarForAll(t *testing.T) {
	c, want := china(t), mustAdd(t, china(t), time.Unix(1_700_000_000, 0), 20_000*time.Hour)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if due, err := c.Add(time.Unix(1_700_000_000, 0), 20_000*time.Hour); err != nil || !due.Equal(want) {
				t.Errorf("due %v, %v; want %v", due, err, want)
			}
		})
	}
	all.Wait()
}

// Samoa had no Friday 30 December 2011. What is left of that day's shift lies on Saturday,
// and the time before it is Saturday's.
func TestShiftOfADateThatWasSkipped(t *testing.T) {
	c := mustNew(t, worktime.Definition{TimeZone: "Pacific/Apia", Week: []worktime.Hours{
		{Weekday: time.Friday, Open: 8 * 60, Close: 9 * 60}, {Weekday: time.Friday, Open: 31 * 60, Close: 32 * 60},
	}})
	got, err := c.Segments(in(t, c, "2011-12-29 22:00:00"), in(t, c, "2011-12-31 12:00:00"))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []worktime.Kind
	for _, s := range got {
		kinds = append(kinds, s.Kind)
	}
	want := []worktime.Kind{worktime.DayOff, worktime.Working, worktime.DayOff}
	if !slices.Equal(kinds, want) || !got[1].Start.Equal(in(t, c, "2011-12-31 07:00:00")) {
		t.Errorf("segments %v, want %v", got, want)
	}
}
