package clock

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Segment is a piece of a clock's time. Pause is the one it lies in, nil for other kinds.
type Segment struct {
	worktime.Segment
	Pause *Pause
}

// Receipt shows piece by piece how a due time comes about.
type Receipt struct {
	// Segments run from the start to the due time; those that count add up to the target.
	// While no due time is known they end now.
	Segments []Segment
	// Overrun runs from the due time to the stop, or to now; empty unless missed.
	Overrun []Segment
	// Counted is the sum of the counted segments.
	Counted time.Duration
	Basis   worktime.Basis
}

// Receipt makes the receipt of a clock as of an instant. It fails for years that the
// calendar does not support.
func (s *State) Receipt(now time.Time) (Receipt, error) {
	end := s.Due
	if end.IsZero() {
		end = s.until(now)
	}
	var r Receipt
	var err error
	if r.Segments, err = s.segments(s.Start, end, s.rests()); err != nil {
		return Receipt{}, err
	}
	for _, g := range r.Segments {
		if g.Counted {
			r.Counted += g.End.Sub(g.Start)
		}
	}
	if late, _ := s.Overrun(now); late > 0 {
		if r.Overrun, err = s.segments(s.Due, s.until(now), nil); err != nil {
			return Receipt{}, err
		}
	}
	r.Basis = s.cal.Basis(s.Start, end)
	return r, nil
}

// segments cuts a stretch of time into pieces. The pauses are named by their number, so
// that each piece finds its own again.
func (s *State) segments(from, to time.Time, rests []Pause) ([]Segment, error) {
	pauses := make([]worktime.Pause, len(rests))
	for i, p := range rests {
		if p.End.IsZero() {
			p.End = latest(to, p.Start)
		}
		pauses[i] = worktime.Pause{Start: p.Start, End: p.End, Name: worktime.Name{EN: strconv.Itoa(i)}}
	}
	pieces, err := s.cal.Segments(from, to, pauses...)
	if err != nil {
		return nil, err
	}
	out := make([]Segment, len(pieces))
	for i, p := range pieces {
		out[i].Segment = p
		if p.Kind != worktime.Paused {
			continue
		}
		n, err := strconv.Atoi(p.Name.EN)
		if err != nil {
			return nil, err
		}
		out[i].Pause, out[i].Name = &rests[n], worktime.Name{}
	}
	return out, nil
}

// Explain gives the receipt of a clock with all that happened to it; [ErrNotFound] if there
// is no such clock. Callers check first whose case it is, by Clock.subject_id.
func (s *Store) Explain(ctx context.Context, q pg.DBTX, id uuid.UUID) (*clockv1.ClockExplanation, error) {
	c, log, err := s.Get(ctx, q, id)
	if err != nil {
		return nil, err
	}
	now := instant(s.now())
	r, err := c.Receipt(now)
	if err != nil {
		return nil, err
	}
	out := &clockv1.ClockExplanation{
		Clock: c.Proto(now), Segments: segmentProtos(r.Segments), Overrun: segmentProtos(r.Overrun),
		Sums: sums(r.Segments), Counted: durationpb.New(r.Counted), AssumedYears: years(r.Basis.Assumed),
		ProvisionalYears: years(r.Basis.Provisional), Text: c.sentence(now),
	}
	for i := range log {
		out.Log = append(out.Log, log[i].proto())
	}
	return out, nil
}

func years(list []int) []int32 {
	out := make([]int32, len(list))
	for i, y := range list {
		out[i] = int32(y)
	}
	return out
}

func segmentProtos(list []Segment) []*clockv1.ClockSegment {
	out := make([]*clockv1.ClockSegment, len(list))
	for i := range list {
		g := &list[i]
		out[i] = &clockv1.ClockSegment{
			StartTime: stamp(g.Start), EndTime: stamp(g.End), Kind: kindOf(g.Kind), Counted: g.Counted,
			Length: durationpb.New(g.End.Sub(g.Start)), Text: g.text(),
		}
		if g.Pause != nil {
			out[i].PauseReason, out[i].PauseActor = g.Pause.Reason, g.Pause.Actor
		}
	}
	return out
}

// sums adds segments up by kind, in the order of the kinds.
func sums(list []Segment) []*clockv1.ClockSum {
	lengths := map[worktime.Kind]time.Duration{}
	for _, g := range list {
		lengths[g.Kind] += g.End.Sub(g.Start)
	}
	var out []*clockv1.ClockSum
	for kind, length := range lengths {
		out = append(out, &clockv1.ClockSum{
			Kind: kindOf(kind), Counted: kind == worktime.Working || kind == worktime.MakeUp,
			Length: durationpb.New(length), Text: textOf(kind),
		})
	}
	slices.SortFunc(out, func(a, b *clockv1.ClockSum) int { return int(a.Kind - b.Kind) })
	return out
}

func kindOf(k worktime.Kind) clockv1.ClockSegmentKind {
	switch k {
	case worktime.Working:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_WORKING
	case worktime.MakeUp:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_MAKEUP_WORKDAY
	case worktime.Lunch:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_LUNCH
	case worktime.OutsideHours:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_OUTSIDE_HOURS
	case worktime.DayOff:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_DAY_OFF
	case worktime.OnHoliday:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_HOLIDAY
	case worktime.Paused:
		return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_PAUSED
	}
	return clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_UNSPECIFIED
}

func textOf(k worktime.Kind) *typev1.Text {
	switch k {
	case worktime.Working:
		return &typev1.Text{Zh: "工作时间", En: "working hours"}
	case worktime.MakeUp:
		return &typev1.Text{Zh: "调休上班", En: "make-up workday"}
	case worktime.Lunch:
		return &typev1.Text{Zh: "午休", En: "break between shifts"}
	case worktime.OutsideHours:
		return &typev1.Text{Zh: "非工作时间", En: "outside working hours"}
	case worktime.DayOff:
		return &typev1.Text{Zh: "休息日", En: "day off"}
	case worktime.OnHoliday:
		return &typev1.Text{Zh: "节假日", En: "holiday"}
	}
	return &typev1.Text{Zh: "暂停", En: "paused"}
}

// reasonText says in words why a clock was paused; slugs of callers stand for themselves.
func reasonText(reason string) *typev1.Text {
	switch reason {
	case ReasonWaitingCustomer:
		return &typev1.Text{Zh: "等待客户", En: "waiting for the customer"}
	case ReasonWaitingThirdParty:
		return &typev1.Text{Zh: "等待第三方", En: "waiting for a third party"}
	case ReasonApprovalPending:
		return &typev1.Text{Zh: "等待审批", En: "waiting for approval"}
	case ReasonReturned:
		return &typev1.Text{Zh: "已退回处理人", En: "returned to the handler"}
	}
	return &typev1.Text{Zh: reason, En: reason}
}

func (g *Segment) text() *typev1.Text {
	text := textOf(g.Kind)
	more := &typev1.Text{Zh: g.Name.ZH, En: g.Name.EN}
	if g.Pause != nil {
		why := reasonText(g.Pause.Reason)
		more = &typev1.Text{Zh: why.Zh + "（" + g.Pause.Actor + "）", En: why.En + " (by " + g.Pause.Actor + ")"}
	}
	// A name may be known in one language only.
	if zh := orElse(more.Zh, more.En); zh != "" {
		text.Zh += "：" + zh
	}
	if en := orElse(more.En, more.Zh); en != "" {
		text.En += ": " + en
	}
	return text
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// sentence sums a clock up in words, with wall clock times of its calendar.
func (c *Clock) sentence(now time.Time) *typev1.Text {
	const layout = "2006-01-02 15:04:05"
	local := func(t time.Time) string { return t.In(c.cal.Location()).Format(layout) }
	target, zone := c.Target.Round(time.Second).String(), c.cal.Location().String()
	switch c.PhaseAt(now) {
	case Paused:
		left := c.Remaining(now).Round(time.Second).String()
		return &typev1.Text{
			Zh: "目标为 " + target + " 工作时间，现已暂停，剩余 " + left + "。",
			En: "The target of " + target + " of working time is paused with " + left + " left.",
		}
	case Met:
		return &typev1.Text{
			Zh: "于 " + local(c.Stop) + " 按时完成；目标为 " + target + " 工作时间，截止时间 " + local(c.Due) + "（" + zone + "）。",
			En: "Met at " + local(c.Stop) + "; the target of " + target + " of working time was due at " + local(c.Due) + " (" + zone + ").",
		}
	case Missed:
		late, _ := c.Overrun(now)
		by := late.Round(time.Second).String()
		return &typev1.Text{
			Zh: "已超时 " + by + "；目标为 " + target + " 工作时间，截止时间 " + local(c.Due) + "（" + zone + "）。",
			En: "Missed by " + by + "; the target of " + target + " of working time was due at " + local(c.Due) + " (" + zone + ").",
		}
	case Cancelled:
		return &typev1.Text{
			Zh: "已于 " + local(c.Stop) + " 取消（" + zone + "）。",
			En: "Cancelled at " + local(c.Stop) + " (" + zone + ").",
		}
	}
	return &typev1.Text{
		Zh: "目标为 " + target + " 工作时间，截止时间 " + local(c.Due) + "（" + zone + "）。",
		En: "The target of " + target + " of working time is due at " + local(c.Due) + " (" + zone + ").",
	}
}
