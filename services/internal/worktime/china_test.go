package worktime_test

import (
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// TestChinaYears counts holidays and make-up workdays. Against the npm package chinese-days
// 1.5.7 four dates are more, all of them in the notices: 31 December 2005 was worked for New
// Year 2006, and 5 June 2011, 23 June 2012 and 5 September 2015 are weekend days inside the
// announced holidays.
func TestChinaYears(t *testing.T) {
	want := map[int][2]int{
		2004: {22, 6}, 2005: {24, 7}, 2006: {24, 8}, 2007: {26, 7}, 2008: {27, 5}, 2009: {27, 6},
		2010: {29, 8}, 2011: {29, 6}, 2012: {27, 6}, 2013: {29, 12}, 2014: {23, 5}, 2015: {26, 5},
		2016: {24, 6}, 2017: {24, 5}, 2018: {25, 7}, 2019: {28, 6}, 2020: {30, 6}, 2021: {31, 7},
		2022: {32, 7}, 2023: {26, 7}, 2024: {28, 8}, 2025: {28, 5}, 2026: {33, 6},
	}
	d, err := worktime.ChinaDefinition()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Years) != len(want) || d.ID != "china-standard" || d.Version == "" {
		t.Fatalf("%s %s has %d years, want %d", d.ID, d.Version, len(d.Years), len(want))
	}
	for _, y := range d.Years {
		var got [2]int
		for i, day := range y.Days {
			weekday := time.Date(day.Date.Year, day.Date.Month, day.Date.Day, 0, 0, 0, 0, time.UTC).Weekday()
			switch weekend := weekday == time.Saturday || weekday == time.Sunday; {
			case day.Kind == worktime.Holiday:
				got[0]++
			case weekend:
				got[1]++
			default:
				t.Errorf("%s is a %s, no day to make up", day.Date, weekday)
			}
			if day.Name.ZH == "" || day.Name.EN == "" || len(day.Hours) > 0 {
				t.Errorf("%s is %+v", day.Date, day)
			}
			if i > 0 && y.Days[i-1].Date.String() >= day.Date.String() {
				t.Errorf("%s stands after %s", day.Date, y.Days[i-1].Date)
			}
		}
		if got != want[y.Year] || y.Status != worktime.Official {
			t.Errorf("%d is %s with %d holidays and %d workdays, want %v", y.Year, y.Status, got[0], got[1], want[y.Year])
		}
	}
}

// TestNotices quotes announcements: each range is off from its first day to its last, each
// further date is worked.
func TestNotices(t *testing.T) {
	c := china(t)
	noon := func(s string) time.Time { return in(t, c, s+" 10:00:00") }
	for _, notice := range []struct {
		name, from, to string
		worked         []string
	}{
		{"Spring Festival 2004", "2004-01-22", "2004-01-28", []string{"2004-01-17", "2004-01-18"}},
		{"New Year 2006", "2006-01-01", "2006-01-03", []string{"2005-12-31"}},
		{"National Day 2008", "2008-09-29", "2008-10-05", []string{"2008-09-27", "2008-09-28"}},
		{"National Day 2009", "2009-10-01", "2009-10-08", []string{"2009-09-27", "2009-10-10"}},
		{"New Year 2013", "2013-01-01", "2013-01-03", []string{"2013-01-05", "2013-01-06"}},
		{"Victory Day 2015", "2015-09-03", "2015-09-05", []string{"2015-09-06"}},
		{"Labour Day 2019, as changed", "2019-05-01", "2019-05-04", []string{"2019-04-28", "2019-05-05"}},
		{"Spring Festival 2020, lengthened", "2020-01-24", "2020-02-02", []string{"2020-01-19", "2020-02-03"}},
		{"National Day 2023", "2023-09-29", "2023-10-06", []string{"2023-10-07", "2023-10-08"}},
		{"Spring Festival 2024", "2024-02-10", "2024-02-17", []string{"2024-02-04", "2024-02-09", "2024-02-18"}},
		{"National Day 2025", "2025-10-01", "2025-10-08", []string{"2025-09-28", "2025-10-11"}},
		{"Spring Festival 2026", "2026-02-15", "2026-02-23", []string{"2026-02-14", "2026-02-28"}},
		{"National Day 2026", "2026-10-01", "2026-10-07", []string{"2026-09-20", "2026-10-10"}},
	} {
		for at := noon(notice.from); !at.After(noon(notice.to)); at = at.AddDate(0, 0, 1) {
			if s, err := c.Segments(at, at.Add(1)); err != nil || s[0].Kind != worktime.OnHoliday {
				t.Errorf("%s: %v is %v, %v", notice.name, at, s, err)
			}
		}
		for _, day := range notice.worked {
			if !c.IsWorking(noon(day)) {
				t.Errorf("%s: %s is not worked", notice.name, day)
			}
		}
	}
	if c.IsWorking(noon("2020-02-01")) {
		t.Error("1 February 2020 is worked although its make-up was cancelled")
	}
}
