package worktime_test

import (
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// decoded makes a definition of any bytes: five an interval of the week, eight a date.
func decoded(zone string, week, dates []byte) worktime.Definition {
	time16 := func(b []byte) worktime.TimeOfDay { return worktime.TimeOfDay(int16(b[0])<<8 | int16(b[1])) }
	d := worktime.Definition{TimeZone: zone}
	for ; len(week) >= 5; week = week[5:] {
		d.Week = append(d.Week, worktime.Hours{Weekday: time.Weekday(int8(week[0])), Open: time16(week[1:]), Close: time16(week[3:])})
	}
	for ; len(dates) >= 8; dates = dates[8:] {
		year := 2000 + int(int8(dates[0]))
		day := worktime.Day{Date: worktime.Date{Year: year, Month: time.Month(dates[1]), Day: int(dates[2])}, Kind: worktime.Holiday}
		if dates[3]&1 == 1 {
			day.Kind = worktime.Workday
		}
		if dates[3]&2 == 2 {
			day.Hours = []worktime.Interval{{Open: time16(dates[4:]), Close: time16(dates[6:])}}
		}
		if n := len(d.Years); n > 0 && d.Years[n-1].Year == year && dates[3]&4 == 0 {
			d.Years[n-1].Days = append(d.Years[n-1].Days, day)
			continue
		}
		d.Years = append(d.Years, worktime.Year{Year: year, Status: worktime.Provisional, Days: []worktime.Day{day}})
	}
	return d
}

func FuzzDefinition(f *testing.F) {
	f.Add("Asia/Shanghai", []byte{1, 2, 28, 2, 208, 1, 3, 12, 4, 56}, []byte{26, 2, 14, 1, 0, 0, 0, 0}, int64(1_770_976_200), int64(time.Hour), 2)
	f.Add("Australia/Lord_Howe", []byte{0, 5, 40, 7, 8, 6, 0, 0, 5, 160}, []byte{26, 4, 4, 3, 0, 90, 0, 150}, int64(1_775_300_000), int64(1), 400)
	f.Add("Pacific/Apia", []byte{5, 0, 0, 5, 160}, []byte{11, 12, 30, 1, 0, 0, 0, 0}, int64(1_325_000_000), int64(1)<<62, 1<<40)
	f.Add("Local", []byte{9, 255, 255, 255, 255}, []byte{0, 13, 32, 7, 255, 0, 0, 255}, int64(-1), int64(-1), -1)
	f.Fuzz(func(t *testing.T, zone string, week, dates []byte, at, working int64, days int) {
		c, err := worktime.New(decoded(zone, week, dates))
		if err != nil {
			if len(violations(err)) == 0 {
				t.Fatalf("the refusal names no field: %v", err)
			}
			return
		}
		start := time.Unix(at, 0)
		if due, err := c.Add(start, time.Duration(working)); err == nil {
			if got := c.Between(start, due); got != time.Duration(working) {
				t.Fatalf("%v + %v is %v, which counts %v", start, time.Duration(working), due, got)
			}
		}
		if due, err := c.AddWorkingDays(start, days); err == nil {
			if target, err := c.WorkingTime(start, days); err != nil || c.Between(start, due) != target {
				t.Fatalf("%v + %d wd is %v of %v, %v", start, days, due, target, err)
			}
		}
		var sum time.Duration
		segments, err := c.Segments(start, start.Add(100*24*time.Hour))
		for _, s := range segments {
			sum += s.End.Sub(s.Start)
		}
		if err == nil && sum != 100*24*time.Hour {
			t.Fatalf("the segments add up to %v", sum)
		}
	})
}

func FuzzParseYear(f *testing.F) {
	f.Add("2026 official\n2026-02-14 workday 09:00-12:00 春节 | Spring Festival\n")
	f.Add("# nothing\n2026 x\n2026-02-14")
	f.Fuzz(func(t *testing.T, text string) {
		if y, err := worktime.ParseYear(text); err == nil && y.Year == 0 {
			t.Fatalf("%q is no year", text)
		}
	})
}
