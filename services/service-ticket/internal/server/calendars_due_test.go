package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func (p *planner) compute(ctx context.Context, req *calendarv1.ComputeDueRequest) (*calendarv1.ComputeDueResponse, error) {
	if req.GetStart() == nil {
		req.Start = shanghai("2026-02-13 17:50")
	}
	if req.GetTarget() == nil {
		req.Target = hours(2)
	}
	return p.calendars.ComputeDue(ctx, req)
}

func shanghai(text string) *timestamppb.Timestamp {
	at, err := time.ParseInLocation("2006-01-02 15:04", text, time.FixedZone("CST", 8*60*60))
	if err != nil {
		panic(err)
	}
	return timestamppb.New(at)
}

func hours(n int) *calendarv1.ComputeDueRequest_WorkingTime {
	return &calendarv1.ComputeDueRequest_WorkingTime{WorkingTime: durationpb.New(time.Duration(n) * time.Hour)}
}

func days(n int32) *calendarv1.ComputeDueRequest_WorkingDays {
	return &calendarv1.ComputeDueRequest_WorkingDays{WorkingDays: n}
}

func pause(from, to string) *calendarv1.Pause {
	return &calendarv1.Pause{Start: shanghai(from), End: shanghai(to)}
}

// adds checks that the segments lie end to end from the start to the due time and that
// those counted add up to the target.
func adds(t *testing.T, name string, req *calendarv1.ComputeDueRequest, got *calendarv1.ComputeDueResponse) {
	t.Helper()
	at, sum := req.GetStart().AsTime(), time.Duration(0)
	for _, s := range got.GetSegments() {
		if !s.GetStart().AsTime().Equal(at) || !s.GetEnd().AsTime().After(at) {
			t.Errorf("%s: %v does not follow %v", name, s, at)
		}
		if at = s.GetEnd().AsTime(); s.GetCounted() {
			sum += at.Sub(s.GetStart().AsTime())
		}
	}
	if !at.Equal(got.GetDue().AsTime()) || sum != got.GetWorkingTime().AsDuration() {
		t.Errorf("%s: segments end at %v and count %v, want %v and %v", name, at, sum, got.GetDue().AsTime(), got.GetWorkingTime().AsDuration())
	}
}

func TestComputeDue(t *testing.T) {
	p := newPlanner(t)
	for name, c := range map[string]struct {
		req     *calendarv1.ComputeDueRequest
		due     string
		working time.Duration
	}{
		"over night into a make-up Saturday": {&calendarv1.ComputeDueRequest{Target: hours(2)}, "2026-02-14 10:50", 2 * time.Hour},
		"over the Spring Festival":           {&calendarv1.ComputeDueRequest{Target: hours(10)}, "2026-02-24 10:50", 10 * time.Hour},
		"two working days":                   {&calendarv1.ComputeDueRequest{Target: days(2)}, "2026-02-24 17:50", 16 * time.Hour},
		"three from Monday's opening": {&calendarv1.ComputeDueRequest{Start: shanghai("2026-03-02 09:00"), Target: days(3)},
			"2026-03-04 18:00", 24 * time.Hour},
		"on hold over the holiday": {&calendarv1.ComputeDueRequest{Target: hours(2), Pauses: []*calendarv1.Pause{
			pause("2026-02-14 10:00", "2026-02-24 13:30"),
		}}, "2026-02-24 14:20", 2 * time.Hour},
		"pauses that overlap, in any order": {&calendarv1.ComputeDueRequest{Target: hours(2), Pauses: []*calendarv1.Pause{
			pause("2026-02-14 09:30", "2026-02-14 10:00"), pause("2026-02-14 09:10", "2026-02-14 09:40"),
		}}, "2026-02-14 11:40", 2 * time.Hour},
	} {
		c.req.Id = china
		got, err := p.compute(p.As(access.Salesperson), c.req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := shanghai(c.due).AsTime(); !got.GetDue().AsTime().Equal(want) {
			t.Errorf("%s: due %v, want %v", name, got.GetDue().AsTime(), want)
		}
		if got.GetWorkingTime().AsDuration() != c.working || got.GetCalendarEtag() != "1" || len(got.GetNotes()) > 0 {
			t.Errorf("%s: %v of calendar version %s, notes %v", name, got.GetWorkingTime().AsDuration(), got.GetCalendarEtag(), got.GetNotes())
		}
		adds(t, name, c.req, got)
	}
}

func TestComputeDueFollowsTheYearsThatAreLoaded(t *testing.T) {
	p := newPlanner(t)
	req := &calendarv1.ComputeDueRequest{Id: china, Start: shanghai("2026-12-31 17:00"), Target: hours(2)}
	got, err := p.compute(p.manager(), req)
	if err != nil || !got.GetDue().AsTime().Equal(shanghai("2027-01-01 10:00").AsTime()) || !slices.Equal(got.GetAssumedYears(), []int32{2027}) ||
		len(got.GetNotes()) != 1 || got.GetNotes()[0].GetEn() != "no official dates for year 2027, plain weekends assumed" ||
		!strings.Contains(got.GetNotes()[0].GetZh(), "2027") {
		t.Errorf("before 2027 is loaded: %v, %v", got, err)
	}
	provisional := year(2027, holiday("2027-01-01"))
	provisional.Status = calendarv1.YearStatus_YEAR_STATUS_PROVISIONAL
	if _, err := p.setYear(china, "", provisional); err != nil {
		t.Fatal(err)
	}
	got, err = p.compute(p.manager(), req)
	if err != nil || !got.GetDue().AsTime().Equal(shanghai("2027-01-04 10:00").AsTime()) || len(got.GetAssumedYears()) > 0 ||
		!slices.Equal(got.GetProvisionalYears(), []int32{2027}) || len(got.GetNotes()) != 1 || got.GetCalendarEtag() != "2" {
		t.Errorf("once 2027 is loaded: %v, %v", got, err)
	}
	adds(t, "over New Year", req, got)
	if !slices.ContainsFunc(got.GetSegments(), func(s *calendarv1.Segment) bool {
		return s.GetKind() == calendarv1.SegmentKind_SEGMENT_KIND_HOLIDAY && s.GetName().GetZh() == "元旦"
	}) {
		t.Errorf("no segment is the holiday: %v", got.GetSegments())
	}
	// A calendar without years follows no announced dates.
	p.add(plant("plant"))
	if got, err = p.compute(p.manager(), &calendarv1.ComputeDueRequest{Id: "plant", Start: req.GetStart()}); err != nil || len(got.GetNotes()) > 0 {
		t.Errorf("without years: %v, %v", got, err)
	}
}

func TestComputeDueRefusals(t *testing.T) {
	p := newPlanner(t)
	rare := plant("rare")
	rare.Week = []*calendarv1.WeekdayHours{{Weekday: calendarv1.Weekday_WEEKDAY_MONDAY, Open: "09:00", Close: "09:01"}}
	p.add(rare)
	stamp := func(text string) *timestamppb.Timestamp {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return timestamppb.New(at)
	}
	for name, c := range map[string]struct {
		field string
		req   *calendarv1.ComputeDueRequest
	}{
		"id":          {"id", &calendarv1.ComputeDueRequest{Id: "China"}},
		"too early":   {"start", &calendarv1.ComputeDueRequest{Id: china, Start: stamp("1969-12-31T23:59:59Z")}},
		"too late":    {"start", &calendarv1.ComputeDueRequest{Id: china, Start: stamp("2101-01-01T00:00:00Z")}},
		"no time":     {"working_time", &calendarv1.ComputeDueRequest{Id: china, Target: hours(0)}},
		"negative":    {"working_time", &calendarv1.ComputeDueRequest{Id: china, Target: hours(-1)}},
		"much time":   {"working_time", &calendarv1.ComputeDueRequest{Id: china, Target: hours(87661)}},
		"past 10 y":   {"working_time", &calendarv1.ComputeDueRequest{Id: china, Target: hours(40000)}},
		"no days":     {"working_days", &calendarv1.ComputeDueRequest{Id: china, Target: days(0)}},
		"many days":   {"working_days", &calendarv1.ComputeDueRequest{Id: china, Target: days(3661)}},
		"days past":   {"working_days", &calendarv1.ComputeDueRequest{Id: china, Target: days(3600)}},
		"many pauses": {"pauses", &calendarv1.ComputeDueRequest{Id: china, Pauses: make201()}},
		"no end":      {"pauses[0].end", &calendarv1.ComputeDueRequest{Id: china, Pauses: []*calendarv1.Pause{{Start: stamp("2026-01-01T00:00:00Z")}}}},
		"backwards": {"pauses[1].end", &calendarv1.ComputeDueRequest{Id: china, Pauses: []*calendarv1.Pause{
			pause("2026-02-14 09:30", "2026-02-14 10:00"), pause("2026-02-14 09:30", "2026-02-14 09:29"),
		}}},
	} {
		_, err := p.compute(p.manager(), c.req)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}
	_, err := p.calendars.ComputeDue(p.manager(), &calendarv1.ComputeDueRequest{Id: china, Target: hours(1)})
	refused(t, "no start", err, codes.InvalidArgument, "VALIDATION_FAILED", "start")
	_, err = p.calendars.ComputeDue(p.manager(), &calendarv1.ComputeDueRequest{Id: china, Start: shanghai("2026-02-13 17:50")})
	refused(t, "no target", err, codes.InvalidArgument, "VALIDATION_FAILED", "target")
	_, err = p.compute(p.manager(), &calendarv1.ComputeDueRequest{Id: "nobody"})
	refused(t, "unknown", err, codes.NotFound, "CALENDAR_NOT_FOUND", "")
	_, err = p.compute(p.manager(), &calendarv1.ComputeDueRequest{Id: "rare", Target: hours(80000)})
	refused(t, "never", err, codes.FailedPrecondition, "WORKING_TIME_NEVER_REACHED", "")
	// Pauses are not counted into the ten years.
	long := &calendarv1.ComputeDueRequest{Id: china, Pauses: []*calendarv1.Pause{pause("2026-02-14 09:30", "2050-02-14 10:00")}}
	got, err := p.compute(p.manager(), long)
	if err != nil {
		t.Fatal(err)
	}
	adds(t, "a long pause", long, got)
}

func make201() []*calendarv1.Pause {
	out := make([]*calendarv1.Pause, 201)
	for i := range out {
		out[i] = pause("2026-02-14 09:30", "2026-02-14 10:00")
	}
	return out
}

// The longest explanation that can be asked for is an answer and no failure.
func TestComputeDueOfTenYears(t *testing.T) {
	p := newPlanner(t)
	c := &calendarv1.Calendar{Id: "pieces", Name: &typev1.Text{En: "Pieces"}, TimeZone: "Asia/Shanghai"}
	for d := calendarv1.Weekday_WEEKDAY_MONDAY; d <= calendarv1.Weekday_WEEKDAY_SUNDAY; d++ {
		for h := range 12 {
			c.Week = append(c.Week, &calendarv1.WeekdayHours{Weekday: d, Open: fmt.Sprintf("%02d:00", 2*h), Close: fmt.Sprintf("%02d:01", 2*h)})
		}
	}
	p.add(c)
	req := &calendarv1.ComputeDueRequest{Id: "pieces", Target: days(3650)}
	got, err := p.compute(p.manager(), req)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.GetSegments()); n < 80000 {
		t.Errorf("%d segments", n)
	}
	adds(t, "ten years", req, got)
}
