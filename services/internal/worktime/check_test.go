package worktime_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// violations gives the fields that a refusal names, or its reason where it names none.
func violations(err error) (fields []string) {
	var refusal *rpcerr.Error
	if !errors.As(err, &refusal) {
		return nil
	}
	for _, detail := range status.Convert(refusal.GRPCStatus().Err()).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	if fields == nil {
		return []string{refusal.Reason()}
	}
	return fields
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	monday := func(open, closing worktime.TimeOfDay) worktime.Hours {
		return worktime.Hours{Weekday: time.Monday, Open: open, Close: closing}
	}
	year := func(days ...worktime.Day) []worktime.Year {
		return []worktime.Year{{Year: 2026, Status: worktime.Official, Days: days}}
	}
	may := func(d int, kind worktime.DayKind, hours ...worktime.Interval) worktime.Day {
		return worktime.Day{Date: worktime.Date{Year: 2026, Month: time.May, Day: d}, Kind: kind, Hours: hours}
	}
	for _, test := range []struct {
		name, field, says string
		change            func(*worktime.Definition)
	}{
		{"unknown zone", "time_zone", `"Asia/Shangai" is not known`, func(d *worktime.Definition) { d.TimeZone = "Asia/Shangai" }},
		{"no zone", "time_zone", "Asia/Shanghai", func(d *worktime.Definition) { d.TimeZone = "" }},
		{"the machine's zone", "time_zone", "Asia/Shanghai", func(d *worktime.Definition) { d.TimeZone = "Local" }},
		{"never opens", "week", "never open", func(d *worktime.Definition) { d.Week = nil }},
		{"no weekday", "week[1].weekday", "it is 7", func(d *worktime.Definition) { d.Week[1].Weekday = 7 }},
		{"end before start", "week[0].close", "06:00 is before the opening at 22:00; close later, or at 30:00", func(d *worktime.Definition) { d.Week[0] = monday(1320, 360) }},
		{"empty", "week[0].close", "the opening itself", func(d *worktime.Definition) { d.Week[0] = monday(540, 540) }},
		{"no time", "week[0].open", "-1 min", func(d *worktime.Definition) { d.Week[0] = monday(-1, 540) }},
		{"too late", "week[0].close", "48:01", func(d *worktime.Definition) { d.Week[0] = monday(0, 2881) }},
		{"begins tomorrow", "week[0].open", "from 01:00", func(d *worktime.Definition) { d.Week = []worktime.Hours{monday(1500, 1600)} }},
		{"overlap", "week[2].open", "11:00 lies inside 09:00-12:00", func(d *worktime.Definition) { d.Week = append(d.Week, monday(660, 700)) }},
		{"too long", "week[0].close", "longer than 24 hours; end at 33:00", func(d *worktime.Definition) { d.Week = []worktime.Hours{monday(540, 2000)} }},
		{"into tomorrow", "week", "Monday ends at 34:00, after Tuesday opens at 09:00; end at 33:00", func(d *worktime.Definition) {
			d.Week = []worktime.Hours{monday(1200, 2040), {Weekday: time.Tuesday, Open: 540, Close: 720}}
		}},
		{"year twice", "years[1].year", "2026 stands twice", func(d *worktime.Definition) { d.Years = append(year(), year()...) }},
		{"year out of range", "years[0].year", "1970 to 2199", func(d *worktime.Definition) { d.Years = []worktime.Year{{Year: 26, Status: worktime.Official}} }},
		{"status", "years[0].status", `"final"`, func(d *worktime.Definition) { d.Years = []worktime.Year{{Year: 2026, Status: "final"}} }},
		{"missing with dates", "years[0].status", "missing yet has 1", func(d *worktime.Definition) {
			d.Years = year(may(1, worktime.Holiday))
			d.Years[0].Status = worktime.Missing
		}},
		{"no such date", "years[0].days[0].date", "2026-05-32 does not exist", func(d *worktime.Definition) { d.Years = year(may(32, worktime.Holiday)) }},
		{"other year", "years[0].days[0].date", "not in 2026", func(d *worktime.Definition) {
			d.Years = year(worktime.Day{Date: worktime.Date{Year: 2025, Month: 5, Day: 1}, Kind: worktime.Holiday})
		}},
		{"date twice", "years[0].days[1].date", "2026-05-01 stands twice", func(d *worktime.Definition) {
			d.Years = year(may(1, worktime.Holiday), may(1, worktime.Workday))
		}},
		{"kind", "years[0].days[0].kind", `"feast"`, func(d *worktime.Definition) { d.Years = year(may(1, "feast")) }},
		{"holiday with hours", "years[0].days[0].hours", "a holiday with 1", func(d *worktime.Definition) {
			d.Years = year(may(1, worktime.Holiday, worktime.Interval{Open: 0, Close: 60}))
		}},
		{"make-up runs into Monday", "years[0].days[0].hours", "2026-05-03 ends at 34:00", func(d *worktime.Definition) {
			d.Years = year(may(3, worktime.Workday, worktime.Interval{Open: 1200, Close: 2040}))
		}},
		{"long name", "years[0].days[0].name.zh", "101 characters", func(d *worktime.Definition) {
			d.Years = year(worktime.Day{Date: worktime.Date{Year: 2026, Month: 5, Day: 1}, Kind: worktime.Holiday, Name: worktime.Name{ZH: strings.Repeat("节", 101)}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := worktime.Definition{TimeZone: "UTC", Week: []worktime.Hours{monday(540, 720), monday(780, 1080)}}
			test.change(&d)
			err := worktime.Check("calendar.", d)
			if !slices.Contains(violations(err), "calendar."+test.field) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v; want calendar.%s and %q", err, test.field, test.says)
			}
			if c, err := worktime.New(d); err == nil || c != nil {
				t.Errorf("New made %v", c)
			}
		})
	}
}

func TestDefinitionIsNotShared(t *testing.T) {
	c := china(t)
	d := c.Definition()
	d.Week[0].Open, d.Years[0].Days[0].Kind = 0, worktime.Workday
	if again := c.Definition(); again.Week[0].Open != 540 || again.Years[0].Days[0].Kind != worktime.Holiday {
		t.Error("changing a copy changed the calendar")
	}
}

func TestParseYear(t *testing.T) {
	got, err := worktime.ParseYear("# notice\n2027 provisional\n\n2027-01-01 holiday 元旦 | New Year's Day\n2027-01-02 workday 10:00-12:00 13:00-24:00 元旦\n")
	if err != nil || got.Year != 2027 || got.Status != worktime.Provisional || len(got.Days) != 2 ||
		got.Days[0].Name != (worktime.Name{ZH: "元旦", EN: "New Year's Day"}) ||
		!slices.Equal(got.Days[1].Hours, []worktime.Interval{{Open: 600, Close: 720}, {Open: 780, Close: 1440}}) {
		t.Errorf("%+v, %v", got, err)
	}
	for text, says := range map[string]string{
		"":                                  "empty",
		"# only\n":                          "empty",
		"2027-01-01 holiday":                "line 1",
		"2027 official\n2027-02-30 holiday": `line 2: "2027-02-30" is no date`,
		"2027 official\n2027-02-03":         "write holiday or workday",
		"2027 official\n2027-02-03 feast":   `"feast"; write holiday or workday`,
		"2027 official\n2027-02-03 workday 9:00-12:00": "write them as 09:00-12:00",
	} {
		if _, err := worktime.ParseYear(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestTimesOfDay(t *testing.T) {
	for text, want := range map[string]worktime.TimeOfDay{"00:00": 0, "09:05": 545, "24:00": 1440, "30:00": 1800, "48:00": 2880} {
		if got, err := worktime.ParseTimeOfDay(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s is %d (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "9:00", "09:60", "48:01", "+9:00", "-1:00", "09-00"} {
		if got, err := worktime.ParseTimeOfDay(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}
