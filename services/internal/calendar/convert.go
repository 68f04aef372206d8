package calendar

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// maxViolations is how many faults one error names.
const maxViolations = 50

// Definition reads a calendar's times and dates and gives what worktime.New takes; the id
// is carried over, the version is not. The error is public and names each field that holds
// no time or date, its value and what would be right; prefix goes before the path of a
// field ("calendar."). Whether the times and dates make a calendar is for worktime to say.
func Definition(prefix string, c *calendarv1.Calendar) (worktime.Definition, error) {
	r := &reader{prefix: prefix}
	d := worktime.Definition{ID: c.GetId(), TimeZone: c.GetTimeZone()}
	for i, h := range c.GetWeek() {
		path := fmt.Sprintf("week[%d]", i)
		d.Week = append(d.Week, worktime.Hours{
			Weekday: weekday(h.GetWeekday()), Open: r.time(path+".open", h.GetOpen()), Close: r.time(path+".close", h.GetClose()),
		})
	}
	for i, y := range c.GetYears() {
		d.Years = append(d.Years, r.year(fmt.Sprintf("years[%d]", i), y))
	}
	if r.err != nil {
		return worktime.Definition{}, r.err
	}
	return d, nil
}

// Year reads one year as [Definition] does; prefix goes before its fields ("year.").
func Year(prefix string, y *calendarv1.CalendarYear) (worktime.Year, error) {
	r := &reader{}
	out := r.year(prefix, y)
	if r.err != nil {
		return worktime.Year{}, r.err
	}
	return out, nil
}

// reader gathers what is no time and no date.
type reader struct {
	prefix string
	n      int
	err    *rpcerr.Error
}

func (r *reader) fault(field string, text rpcerr.Text) {
	r.n++
	switch {
	case r.err == nil:
		r.err = rpcerr.Invalid(r.prefix+field, text)
	case r.n <= maxViolations:
		r.err = r.err.Field(r.prefix+field, text)
	}
}

func (r *reader) time(field, s string) worktime.TimeOfDay {
	t, err := worktime.ParseTimeOfDay(s)
	if err != nil {
		r.fault(field, rpcerr.T("it is %[1]q; give a time from 00:00 to 48:00, such as 09:00",
			"现为 %[1]q；请填写 00:00 至 48:00 之间的时间，例如 09:00", s))
	}
	return t
}

func (r *reader) date(field, s string) worktime.Date {
	d, err := worktime.ParseDate(s)
	if err != nil {
		r.fault(field, rpcerr.T("it is %[1]q; give a date that exists, such as 2026-02-16",
			"现为 %[1]q；请填写存在的日期，例如 2026-02-16", s))
	}
	return d
}

func (r *reader) year(path string, y *calendarv1.CalendarYear) worktime.Year {
	out := worktime.Year{Year: int(y.GetYear()), Status: statusOf(y.GetStatus())}
	for i, d := range y.GetDays() {
		at := fmt.Sprintf("%s.days[%d]", path, i)
		day := worktime.Day{
			Date: r.date(at+".date", d.GetDate()), Kind: kindOf(d.GetKind()),
			Name: worktime.Name{ZH: d.GetName().GetZh(), EN: d.GetName().GetEn()},
		}
		for j, h := range d.GetHours() {
			in := fmt.Sprintf("%s.hours[%d]", at, j)
			day.Hours = append(day.Hours, worktime.Interval{
				Open: r.time(in+".open", h.GetOpen()), Close: r.time(in+".close", h.GetClose()),
			})
		}
		out.Days = append(out.Days, day)
	}
	return out
}

// weekday takes a weekday that is none for one that worktime refuses.
func weekday(w calendarv1.Weekday) time.Weekday {
	switch {
	case w == calendarv1.Weekday_WEEKDAY_SUNDAY:
		return time.Sunday
	case w >= calendarv1.Weekday_WEEKDAY_MONDAY && w < calendarv1.Weekday_WEEKDAY_SUNDAY:
		return time.Weekday(w)
	}
	return -1
}

func weekdayProto(w time.Weekday) calendarv1.Weekday {
	if w == time.Sunday {
		return calendarv1.Weekday_WEEKDAY_SUNDAY
	}
	return calendarv1.Weekday(w)
}

func statusOf(s calendarv1.YearStatus) worktime.Status {
	switch s {
	case calendarv1.YearStatus_YEAR_STATUS_OFFICIAL:
		return worktime.Official
	case calendarv1.YearStatus_YEAR_STATUS_PROVISIONAL:
		return worktime.Provisional
	case calendarv1.YearStatus_YEAR_STATUS_MISSING:
		return worktime.Missing
	}
	return ""
}

func statusProto(s worktime.Status) calendarv1.YearStatus {
	switch s {
	case worktime.Official:
		return calendarv1.YearStatus_YEAR_STATUS_OFFICIAL
	case worktime.Provisional:
		return calendarv1.YearStatus_YEAR_STATUS_PROVISIONAL
	case worktime.Missing:
		return calendarv1.YearStatus_YEAR_STATUS_MISSING
	}
	return calendarv1.YearStatus_YEAR_STATUS_UNSPECIFIED
}

func kindOf(k calendarv1.DayKind) worktime.DayKind {
	switch k {
	case calendarv1.DayKind_DAY_KIND_HOLIDAY:
		return worktime.Holiday
	case calendarv1.DayKind_DAY_KIND_WORKDAY:
		return worktime.Workday
	}
	return ""
}

func kindProto(k worktime.DayKind) calendarv1.DayKind {
	switch k {
	case worktime.Holiday:
		return calendarv1.DayKind_DAY_KIND_HOLIDAY
	case worktime.Workday:
		return calendarv1.DayKind_DAY_KIND_WORKDAY
	}
	return calendarv1.DayKind_DAY_KIND_UNSPECIFIED
}

// Proto writes a definition as a calendar without name, default, times and etag.
func Proto(d worktime.Definition) *calendarv1.Calendar {
	c := &calendarv1.Calendar{Id: d.ID, TimeZone: d.TimeZone}
	for _, h := range d.Week {
		c.Week = append(c.Week, &calendarv1.WeekdayHours{
			Weekday: weekdayProto(h.Weekday), Open: h.Open.String(), Close: h.Close.String(),
		})
	}
	for _, y := range d.Years {
		c.Years = append(c.Years, yearProto(y))
	}
	return c
}

func yearProto(y worktime.Year) *calendarv1.CalendarYear {
	out := &calendarv1.CalendarYear{Year: int32(y.Year), Status: statusProto(y.Status)}
	for _, d := range y.Days {
		day := &calendarv1.CalendarDay{Date: d.Date.String(), Kind: kindProto(d.Kind), Name: nameProto(d.Name)}
		for _, h := range d.Hours {
			day.Hours = append(day.Hours, &calendarv1.DayHours{Open: h.Open.String(), Close: h.Close.String()})
		}
		out.Days = append(out.Days, day)
	}
	return out
}

func nameProto(n worktime.Name) *typev1.Text {
	if n == (worktime.Name{}) {
		return nil
	}
	return &typev1.Text{Zh: n.ZH, En: n.EN}
}

// DueProto writes a result as the answer of ComputeDue, without the calendar's etag.
func DueProto(r worktime.Result) *calendarv1.ComputeDueResponse {
	out := &calendarv1.ComputeDueResponse{
		Due: timestamppb.New(r.Due), WorkingTime: durationpb.New(r.WorkingTime), Notes: Notes(r.Basis),
		AssumedYears: years(r.Basis.Assumed), ProvisionalYears: years(r.Basis.Provisional),
	}
	for _, s := range r.Segments {
		out.Segments = append(out.Segments, &calendarv1.Segment{
			Start: timestamppb.New(s.Start), End: timestamppb.New(s.End), Kind: SegmentKind(s.Kind), Counted: s.Counted,
			Name: nameProto(s.Name),
		})
	}
	return out
}

func years(list []int) []int32 {
	var out []int32
	for _, y := range list {
		out = append(out, int32(y))
	}
	return out
}

// Notes says in words on which years a result rests that are not official, one a year.
func Notes(b worktime.Basis) []*typev1.Text {
	var out []*typev1.Text
	for _, y := range b.Assumed {
		out = append(out, &typev1.Text{
			En: fmt.Sprintf("no official dates for year %d, plain weekends assumed", y),
			Zh: fmt.Sprintf("%d 年没有官方放假安排，按普通周末推算", y),
		})
	}
	for _, y := range b.Provisional {
		out = append(out, &typev1.Text{
			En: fmt.Sprintf("the dates of year %d are provisional and may change", y),
			Zh: fmt.Sprintf("%d 年的放假安排为暂定，可能变动", y),
		})
	}
	return out
}

// SegmentKind names the kind of a piece of time.
func SegmentKind(k worktime.Kind) calendarv1.SegmentKind {
	switch k {
	case worktime.Working:
		return calendarv1.SegmentKind_SEGMENT_KIND_WORKING
	case worktime.MakeUp:
		return calendarv1.SegmentKind_SEGMENT_KIND_MAKEUP_WORKDAY
	case worktime.Lunch:
		return calendarv1.SegmentKind_SEGMENT_KIND_LUNCH
	case worktime.OutsideHours:
		return calendarv1.SegmentKind_SEGMENT_KIND_OUTSIDE_HOURS
	case worktime.DayOff:
		return calendarv1.SegmentKind_SEGMENT_KIND_DAY_OFF
	case worktime.OnHoliday:
		return calendarv1.SegmentKind_SEGMENT_KIND_HOLIDAY
	case worktime.Paused:
		return calendarv1.SegmentKind_SEGMENT_KIND_PAUSED
	}
	return calendarv1.SegmentKind_SEGMENT_KIND_UNSPECIFIED
}
