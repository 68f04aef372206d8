package minutewalk

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

func zones() []string {
	return []string{"Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe",
		"Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Beirut", "UTC"}
}

// anyHours draws the intervals of a day that begin at base or later and end within 24 hours.
func anyHours(t *rapid.T, base int) []worktime.Interval {
	marks := rapid.SliceOfNDistinct(rapid.IntRange(0, DayLength), 2, 6, rapid.ID).Draw(t, "marks")
	slices.Sort(marks)
	if base+marks[0] >= DayLength {
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
			week = append(week, worktime.Hours{Weekday: d, Open: 0, Close: DayLength})
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

// AnyBegin draws the start of a walk, near a change of the clock or of the year more often than not.
func AnyBegin(t *rapid.T, loc *time.Location) time.Time {
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
		at = change.Add(-time.Duration(rapid.IntRange(Margin, 10*DayLength).Draw(t, "ahead")) * time.Minute)
	}
	return at.UTC().Truncate(time.Minute)
}

// AnyDefinition draws a calendar that worktime accepts, and where a walk through it begins,
// with holidays and workdays among the days that follow.
func AnyDefinition(t *rapid.T, from func(*rapid.T, *time.Location) time.Time, days int) (worktime.Definition, time.Time) {
	d := worktime.Definition{TimeZone: rapid.SampledFrom(zones()).Draw(t, "zone")}
	loc, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	var base int
	d.Week, base = anyWeek(t)
	begin := from(t, loc)
	fixed := base == 0 && d.Week[0].Close != DayLength
	years := map[int]*worktime.Year{}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, days), 0, 8, rapid.ID).Draw(t, "dates") {
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
