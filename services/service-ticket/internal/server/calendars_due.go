package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// maxDueYears is how far after its start a target may end, pauses not counted.
const maxDueYears = 10

func chinaName() *typev1.Text {
	return &typev1.Text{Zh: "中国标准工作日历", En: "China, standard working hours"}
}

func dayAndNightName() *typev1.Text { return &typev1.Text{Zh: "全天候", En: "Day and night"} }

// ComputeDue counts when a target is complete.
func (s *Server) ComputeDue(ctx context.Context, req *calendarv1.ComputeDueRequest) (*calendarv1.ComputeDueResponse, error) {
	by, version, err := s.calendars.Load(ctx, s.pool, req.GetId())
	if errors.Is(err, calendar.ErrUnknown) {
		return nil, rpcerr.NotFound("calendar", req.GetId())
	}
	if err != nil {
		return nil, err
	}
	start := req.GetStart().AsTime()
	target := worktime.Target{WorkingTime: req.GetWorkingTime().AsDuration(), WorkingDays: int(req.GetWorkingDays())}
	if err := checkTarget(by, start, target); err != nil {
		return nil, err
	}
	pauses := make([]worktime.Pause, 0, len(req.GetPauses()))
	for _, p := range req.GetPauses() {
		pauses = append(pauses, worktime.Pause{Start: p.GetStart().AsTime(), End: p.GetEnd().AsTime()})
	}
	result, err := by.Compute(start, target, pauses)
	if err != nil {
		return nil, err
	}
	out := calendar.DueProto(result)
	out.CalendarEtag = etag(version)
	return out, nil
}

// checkTarget refuses a target whose explanation would be too long to be one.
func checkTarget(by *worktime.Calendar, start time.Time, target worktime.Target) error {
	field, count := "working_time", func() (time.Time, error) { return by.Add(start, target.WorkingTime) }
	if target.WorkingDays > 0 {
		field, count = "working_days", func() (time.Time, error) { return by.AddWorkingDays(start, target.WorkingDays) }
	}
	due, err := count()
	if err != nil {
		return err
	}
	if latest := start.AddDate(maxDueYears, 0, 0); due.After(latest) {
		return rpcerr.Invalid(field, rpcerr.T(
			"it would end at %[1]s; ask for what ends by %[2]s, %[3]d years after the start",
			"将于 %[1]s 结束；请填写在 %[2]s（开始后 %[3]d 年）之前结束的目标",
			due.Format(time.RFC3339), latest.Format(time.RFC3339), maxDueYears))
	}
	return nil
}

// withYear gives a calendar with a year's dates in place of those it had. What is refused
// is named by the paths of SetYear's request.
func withYear(c *calendarv1.Calendar, year *calendarv1.CalendarYear) (*calendarv1.Calendar, error) {
	if _, err := calendar.Year("year", year); err != nil {
		return nil, err
	}
	c = proto.CloneOf(c)
	c.Years = slices.DeleteFunc(c.GetYears(), func(y *calendarv1.CalendarYear) bool { return y.GetYear() == year.GetYear() })
	// The first, so that what is wrong with it is known by its path.
	c.Years = slices.Insert(c.GetYears(), 0, year)
	d, err := calendar.Definition("", c)
	if err != nil {
		return nil, err
	}
	if err := worktime.Check("", d); err != nil {
		return nil, ofYear(err)
	}
	return c, nil
}

// ofYear names the faults of a definition as those of the year that was given: a fault
// between it and the next year may stand at either, and the next year was right before.
func ofYear(err error) error {
	var public *rpcerr.Error
	if !errors.As(err, &public) {
		return err
	}
	en, zh := violations(public.Status("en")), violations(public.Status("zh-CN"))
	var out *rpcerr.Error
	for i, v := range en {
		field, text := v.GetField(), rpcerr.Text{EN: v.GetDescription(), ZH: zh[i].GetDescription()}
		if rest, ok := strings.CutPrefix(field, "years[0]"); ok {
			field = "year" + rest
		} else {
			field = "year"
		}
		if out == nil {
			out = rpcerr.Invalid(field, text)
		} else {
			out = out.Field(field, text)
		}
	}
	if out == nil {
		return err
	}
	return out
}

func violations(s *status.Status) []*errdetails.BadRequest_FieldViolation {
	for _, detail := range s.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			return bad.GetFieldViolations()
		}
	}
	return nil
}
