package calendar_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

func TestDefinitionsSurviveBothWays(t *testing.T) {
	china, err := worktime.ChinaDefinition()
	if err != nil {
		t.Fatal(err)
	}
	night := worktime.Definition{
		ID: "night", TimeZone: "Europe/Berlin",
		Week: []worktime.Hours{{Weekday: time.Sunday, Open: 22 * 60, Close: 30 * 60}, {Weekday: time.Saturday, Open: 0, Close: 24 * 60}},
		Years: []worktime.Year{
			{Year: 2026, Status: worktime.Provisional, Days: []worktime.Day{
				{Date: worktime.Date{Year: 2026, Month: 5, Day: 1}, Kind: worktime.Holiday, Name: worktime.Name{EN: "May Day"}},
				{Date: worktime.Date{Year: 2026, Month: 5, Day: 3}, Kind: worktime.Workday, Hours: []worktime.Interval{{Open: 600, Close: 720}}},
			}},
			{Year: 2027, Status: worktime.Missing},
		},
	}
	for _, want := range []worktime.Definition{china, night} {
		want.Version = ""
		got, err := calendar.Definition("", calendar.Proto(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s came back as %+v, %v", want.ID, got, err)
		}
		stored, err := calendar.Encode(calendar.Proto(want))
		if err != nil {
			t.Fatal(err)
		}
		back, err := calendar.Decode(stored)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = calendar.Definition("", back); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s was stored as %+v, %v", want.ID, got, err)
		}
	}
}

func TestEncodeLeavesOutWhatTheRowHolds(t *testing.T) {
	c := office("desk", "09:00")
	c.Default = true
	stored, err := calendar.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := calendar.Decode(stored)
	if err != nil || back.GetDefault() || back.GetEtag() != "" || back.GetCreateTime() != nil || back.GetUpdateTime() != nil {
		t.Errorf("stored %v, %v", back, err)
	}
	if _, err := calendar.Decode([]byte{0xff}); err == nil {
		t.Error("garbage was decoded")
	}
}

// faults gives the violations of an error by field.
func faults(t *testing.T, err error) map[string]string {
	t.Helper()
	var public *rpcerr.Error
	if !errors.As(err, &public) {
		t.Fatalf("%v is not public", err)
	}
	out := map[string]string{}
	for _, d := range public.GRPCStatus().Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out[v.GetField()] = v.GetDescription()
			}
		}
	}
	return out
}

func TestDefinitionNamesEveryTimeAndDateThatIsNone(t *testing.T) {
	c := office("desk", "9:00")
	c.Week[0].Close = "48:01"
	c.Years = []*calendarv1.CalendarYear{{Year: 2026, Days: []*calendarv1.CalendarDay{
		{Date: "2026-02-30"},
		{Date: "2026-03-01", Hours: []*calendarv1.DayHours{{Open: "", Close: "24:60"}}},
	}}}
	_, err := calendar.Definition("calendar.", c)
	got := faults(t, err)
	for field, value := range map[string]string{
		"calendar.week[0].open": `"9:00"`, "calendar.week[0].close": `"48:01"`,
		"calendar.years[0].days[0].date":           `"2026-02-30"`,
		"calendar.years[0].days[1].hours[0].open":  `""`,
		"calendar.years[0].days[1].hours[0].close": `"24:60"`,
	} {
		if !strings.Contains(got[field], value) || !strings.Contains(got[field], "such as") {
			t.Errorf("%s: %q, want its value %s and what would be right", field, got[field], value)
		}
		delete(got, field)
	}
	if len(got) > 0 {
		t.Errorf("also named: %v", got)
	}
	if _, err := calendar.Year("year", c.GetYears()[0]); len(faults(t, err)) != 3 || faults(t, err)["year.days[0].date"] == "" {
		t.Errorf("of the year alone: %v", err)
	}

	c.Years[0].Days = nil
	for range 100 {
		c.Years[0].Days = append(c.Years[0].Days, &calendarv1.CalendarDay{Date: "x"})
	}
	if _, err := calendar.Definition("", c); len(faults(t, err)) != 50 {
		t.Errorf("%d faults are named", len(faults(t, err)))
	}
}

func TestWhatIsNoKindIsRefusedByWorktime(t *testing.T) {
	for name, change := range map[string]func(*calendarv1.Calendar){
		"weekday": func(c *calendarv1.Calendar) { c.Week[0].Weekday = 0 },
		"beyond":  func(c *calendarv1.Calendar) { c.Week[0].Weekday = 8 },
		"status":  func(c *calendarv1.Calendar) { c.Years = []*calendarv1.CalendarYear{{Year: 2026}} },
		"kind": func(c *calendarv1.Calendar) {
			c.Years = []*calendarv1.CalendarYear{{Year: 2026, Status: 1, Days: []*calendarv1.CalendarDay{{Date: "2026-01-01"}}}}
		},
	} {
		c := office("desk", "09:00")
		change(c)
		if _, err := calendar.Compile(c, 1); err == nil {
			t.Errorf("a calendar with a bad %s counts", name)
		}
	}
}

func TestDueProto(t *testing.T) {
	china, err := worktime.China()
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		out, err := time.ParseInLocation("2006-01-02 15:04", text, china.Location())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// Friday evening, a make-up Saturday, a pause, then the Spring Festival.
	result, err := china.Compute(at("2026-02-13 17:50"), worktime.Target{WorkingTime: 10 * time.Hour}, []worktime.Pause{
		{Start: at("2026-02-14 10:00"), End: at("2026-02-14 17:00")},
	})
	if err != nil {
		t.Fatal(err)
	}
	out := calendar.DueProto(result)
	var sum time.Duration
	var kinds []calendarv1.SegmentKind
	for i, s := range out.GetSegments() {
		if !slices.Contains(kinds, s.GetKind()) {
			kinds = append(kinds, s.GetKind())
		}
		if s.GetCounted() {
			sum += s.GetEnd().AsTime().Sub(s.GetStart().AsTime())
		}
		if i > 0 && !s.GetStart().AsTime().Equal(out.GetSegments()[i-1].GetEnd().AsTime()) {
			t.Errorf("a gap before %v", s)
		}
	}
	if sum != 10*time.Hour || out.GetWorkingTime().AsDuration() != sum || !out.GetDue().AsTime().Equal(result.Due) {
		t.Errorf("counted %v of %v until %v", sum, out.GetWorkingTime(), out.GetDue())
	}
	slices.Sort(kinds)
	want := []calendarv1.SegmentKind{
		calendarv1.SegmentKind_SEGMENT_KIND_WORKING, calendarv1.SegmentKind_SEGMENT_KIND_MAKEUP_WORKDAY,
		calendarv1.SegmentKind_SEGMENT_KIND_OUTSIDE_HOURS, calendarv1.SegmentKind_SEGMENT_KIND_HOLIDAY,
		calendarv1.SegmentKind_SEGMENT_KIND_PAUSED,
	}
	for _, k := range want {
		if !slices.Contains(kinds, k) {
			t.Errorf("no segment of %v in %v", k, kinds)
		}
	}
	if len(out.GetNotes())+len(out.GetAssumedYears())+len(out.GetProvisionalYears()) > 0 {
		t.Errorf("an official year is doubted: %v", out)
	}
}

func TestEveryKindOfSegmentHasAName(t *testing.T) {
	seen := map[calendarv1.SegmentKind]bool{}
	for _, k := range []worktime.Kind{
		worktime.Working, worktime.MakeUp, worktime.Lunch, worktime.OutsideHours, worktime.DayOff, worktime.OnHoliday, worktime.Paused,
	} {
		seen[calendar.SegmentKind(k)] = true
	}
	if len(seen) != len(calendarv1.SegmentKind_name)-1 || seen[0] || calendar.SegmentKind("nap") != 0 {
		t.Errorf("the kinds become %v", seen)
	}
}

func TestNotes(t *testing.T) {
	got := calendar.Notes(worktime.Basis{Assumed: []int{2028}, Provisional: []int{2027}})
	want := []*typev1.Text{
		{En: "no official dates for year 2028, plain weekends assumed", Zh: "2028 年没有官方放假安排，按普通周末推算"},
		{En: "the dates of year 2027 are provisional and may change", Zh: "2027 年的放假安排为暂定，可能变动"},
	}
	if len(got) != 2 || got[0].GetEn() != want[0].GetEn() || got[0].GetZh() != want[0].GetZh() || got[1].GetEn() != want[1].GetEn() || got[1].GetZh() != want[1].GetZh() {
		t.Errorf("notes %v, want %v", got, want)
	}
}
