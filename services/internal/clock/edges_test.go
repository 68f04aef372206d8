package clock_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

func unpack(t testing.TB, payload []byte) *clockv1.ClockChanged {
	t.Helper()
	wrapped, out := new(anypb.Any), new(clockv1.ClockChanged)
	if err := proto.Unmarshal(payload, wrapped); err != nil {
		t.Fatal(err)
	}
	if err := wrapped.UnmarshalTo(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func days(n int) clock.Terms {
	return clock.Terms{Target: worktime.Target{WorkingDays: n}, PauseReasons: holds, Ladder: ladder}
}

func hours(n int) clock.Terms {
	return clock.Terms{Target: worktime.Target{WorkingTime: time.Duration(n) * time.Hour}, PauseReasons: holds, Ladder: ladder}
}

func TestHoldThenStopDirectly(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(8)) // a Monday
	b.pause("2026-03-02 11:00:00")
	b.wantPhase(clock.Paused)
	b.wantDue("none")
	if done := b.sweep("2026-03-09 10:00:00"); done.Fired != 0 {
		t.Errorf("%d fired while on hold", done.Fired)
	}
	b.stop("2026-03-09 10:00:00")
	b.wantPhase(clock.Met)
	if c := b.get(); c.Elapsed(b.clock.Now()) != 2*time.Hour {
		t.Errorf("judged with %v elapsed, not at the pause's start", c.Elapsed(b.clock.Now()))
	}
	if names, _ := b.told(); !slices.Equal(names, []string{"clock.met.v1"}) {
		t.Errorf("told %v", names)
	}
}

func TestRetargetWhileOnHold(t *testing.T) {
	b := newBench(t)
	b.start("2026-02-13 17:50:00", days(2)) // Friday before the make-up Saturday
	b.pause("2026-02-14 10:00:00")
	b.retarget("2026-02-20 12:00:00", "priority-changed", hours(8))
	b.wantPhase(clock.Paused)
	b.resume("2026-02-24 09:00:00")
	// 10 minutes on Friday and an hour on Saturday are gone; 6:50 h are left.
	b.wantDue("2026-02-24 16:50:00")
	if got := b.types(); !slices.Equal(got, []string{"STARTED", "PAUSED", "RETARGETED", "RESUMED"}) {
		t.Errorf("log %v", got)
	}
}

func TestTierChangeDuringHoldIsMeasuredInTheNewCalendar(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-06 17:00:00", days(1)) // Friday
	b.pause("2026-03-06 18:30:00")
	always := hours(8)
	always.CalendarID = "always"
	b.retarget("2026-03-07 12:00:00", "tier-changed", always)
	b.resume("2026-03-07 20:30:00")
	// By day and night 17:00-18:30 counted and 6:30 h are left from Saturday 20:30.
	b.wantDue("2026-03-08 03:00:00")
}

func TestRetargetTakesBackAMiss(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(2))
	b.sweep("2026-03-02 11:30:00")
	b.wantPhase(clock.Missed)
	b.retarget("2026-03-02 11:40:00", "priority-changed", hours(8))
	b.wantPhase(clock.Running)
	b.wantDue("2026-03-02 18:00:00")
	b.sweep("2026-03-02 18:00:01")
	b.wantPhase(clock.Missed)
	want := []string{"STARTED", "WARNED warn-50", "WARNED warn-80", "MISSED", "ESCALATED supervisor", "RETARGETED", "MISSED"}
	if got := b.types(); !slices.Equal(got, want) {
		t.Errorf("log %v, want %v", got, want)
	}
}

func TestCreatedWhenNobodyWorks(t *testing.T) {
	for name, c := range map[string]struct{ start, oneHour, oneDay string }{
		"at night":                   {"2026-03-02 23:00:00", "2026-03-03 10:00:00", "2026-03-03 18:00:00"},
		"at lunch":                   {"2026-03-02 12:30:00", "2026-03-02 14:00:00", "2026-03-03 12:00:00"},
		"on a holiday":               {"2026-02-17 10:00:00", "2026-02-24 10:00:00", "2026-02-24 18:00:00"},
		"on a make-up workday":       {"2026-02-14 10:00:00", "2026-02-14 11:00:00", "2026-02-24 10:00:00"},
		"one second before closing":  {"2026-03-02 17:59:59", "2026-03-03 09:59:59", "2026-03-03 17:59:59"},
		"on the eve of the holiday":  {"2026-02-14 17:59:59", "2026-02-24 09:59:59", "2026-02-24 17:59:59"},
		"at the closing of Friday":   {"2026-03-06 18:00:00", "2026-03-09 10:00:00", "2026-03-09 18:00:00"},
		"at the opening of a Monday": {"2026-03-02 09:00:00", "2026-03-02 10:00:00", "2026-03-02 18:00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.start(c.start, hours(1))
			b.wantDue(c.oneHour)
			b.retarget(c.start, "priority-changed", days(1))
			b.wantDue(c.oneDay)
		})
	}
}

// without is China's calendar that knows nothing of a year.
func without(t *testing.T, year int, status worktime.Status) *worktime.Calendar {
	t.Helper()
	d, err := worktime.ChinaDefinition()
	if err != nil {
		t.Fatal(err)
	}
	d.Years = slices.DeleteFunc(d.Years, func(y worktime.Year) bool { return y.Year == year })
	if status != "" {
		d.Years = append(d.Years, worktime.Year{Year: year, Status: status})
	}
	cal, err := worktime.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return cal
}

func TestYearLoadedWhileOpen(t *testing.T) {
	b := newBench(t)
	china := b.library.cals["china-standard"]
	b.library.set("china-standard", without(t, 2026, ""))
	started := b.start("2026-02-13 17:50:00", days(2))
	b.wantDue("2026-02-17 17:50:00") // plain weeks: no holiday is known
	b.library.set("china-standard", china)
	if done := b.sweep("2026-02-14 09:00:00"); done.Moved != 1 {
		t.Fatalf("%d clocks moved", done.Moved)
	}
	b.wantDue("2026-02-24 17:50:00")
	names, payloads := b.told()
	if !slices.Equal(names, []string{"clock.retargeted.v1"}) || payloads[0].GetReason() != clock.ReasonCalendarChanged ||
		!payloads[0].GetDueTimeBefore().AsTime().Equal(started.Due) {
		t.Errorf("told %v %v", names, payloads)
	}
	if done := b.sweep("2026-02-14 09:00:01"); done.Moved+done.Fired != 0 {
		t.Errorf("moved again: %+v", done)
	}
}

func TestCalendarChangeThatDoesNotConcernAClock(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", days(2))
	b.library.set("china-standard", without(t, 2025, worktime.Missing))
	if done := b.sweep(""); done.Moved != 0 {
		t.Errorf("%d clocks moved", done.Moved)
	}
	if got := b.types(); !slices.Equal(got, []string{"STARTED"}) {
		t.Errorf("log %v", got)
	}
	b.wantDue("2026-03-03 18:00:00")
}

func TestHoldAcrossACalendarChange(t *testing.T) {
	b := newBench(t)
	china := b.library.cals["china-standard"]
	b.library.set("china-standard", without(t, 2026, ""))
	b.start("2026-02-13 17:00:00", hours(4))
	b.pause("2026-02-13 17:30:00")
	b.library.set("china-standard", china)
	b.resume("2026-02-19 10:00:00") // in the holiday, as is known by now
	b.wantDue("2026-02-24 13:30:00")
}

func TestStopJustBeforeTheSweepHearsOfNewDates(t *testing.T) {
	b := newBench(t)
	china := b.library.cals["china-standard"]
	b.library.set("china-standard", without(t, 2026, ""))
	b.start("2026-02-13 17:50:00", days(2))
	b.library.set("china-standard", china)
	b.stop("2026-02-20 12:00:00")
	b.wantPhase(clock.Met)
}

func TestPauseAfterDueChangesNothing(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(1))
	b.pause("2026-03-02 10:30:00")
	b.wantDue("2026-03-02 10:00:00")
	b.stop("2026-03-02 11:00:00")
	b.wantPhase(clock.Missed)
	c := b.get()
	if late, working := c.Overrun(b.clock.Now()); late != time.Hour || working != time.Hour {
		t.Errorf("late by %v, %v", late, working)
	}
	names, payloads := b.told()
	if !slices.Equal(names, []string{"clock.missed.v1", "clock.stopped.v1"}) || payloads[0].GetLate().AsDuration() != 30*time.Minute+30*time.Minute {
		t.Errorf("told %v %v", names, payloads)
	}
}

func TestStopAtTheDueInstantIsInTime(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(1))
	if done := b.sweep("2026-03-02 10:00:00"); done.Fired != 2 { // both warnings
		t.Errorf("%d fired", done.Fired)
	}
	b.stop("2026-03-02 10:00:00")
	b.wantPhase(clock.Met)
}

func TestFirstResponseNeverPauses(t *testing.T) {
	b := newBench(t)
	terms := hours(1)
	terms.PauseReasons = nil
	b.start("2026-03-02 09:00:00", terms)
	b.pause("2026-03-02 09:10:00")
	b.wantDue("2026-03-02 10:00:00")
	if got := b.types(); !slices.Equal(got, []string{"STARTED"}) {
		t.Errorf("log %v", got)
	}
}

func TestApprovalPendingPausesAndLeavesFourHours(t *testing.T) {
	b := newBench(t)
	terms := days(3)
	terms.PauseReasons = []string{clock.ReasonApprovalPending}
	b.start("2026-03-02 09:00:00", terms)                                       // due Wednesday 18:00
	b.change("2026-03-04 17:00:00", b.store.Pause, clock.ReasonApprovalPending) // an hour left
	b.change("2026-03-05 10:00:00", b.store.Resume, clock.ReasonApprovalPending)
	b.wantDue("2026-03-05 11:00:00")
	b.do(func(ctx context.Context, tx *write.Tx) error {
		_, err := b.store.Extend(ctx, tx, b.all(), b.act("approved"), 4*time.Hour)
		return err
	})
	b.wantDue("2026-03-05 15:00:00")
}

func TestLaterOfTwoTargets(t *testing.T) {
	b := newBench(t)
	received := b.at("2026-03-02 09:00:00")
	terms := days(3)
	terms.Floor = &clock.Floor{From: received, Target: worktime.Target{WorkingDays: 5}}
	b.start("2026-03-02 14:00:00", terms)
	b.wantDue("2026-03-06 18:00:00")
	terms.Floor.Target.WorkingDays = 1
	b.retarget("2026-03-02 15:00:00", "severity-changed", terms)
	b.wantDue("2026-03-05 14:00:00")
}

func TestReopenedStartsItsOwnClock(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(1))
	b.stop("2026-03-02 09:30:00")
	again := clock.Spec{Subject: b.subject, Kind: "resolution", Round: 2, At: b.at("2026-03-03 09:00:00"), Terms: hours(1)}
	again.Terms.CalendarID = "china-standard"
	b.do(func(ctx context.Context, tx *write.Tx) error {
		_, err := b.store.Start(ctx, tx, again)
		return err
	})
	err := b.try(func(ctx context.Context, tx *write.Tx) error {
		_, err := b.store.Start(ctx, tx, again)
		return err
	})
	if !errors.Is(err, clock.ErrOpen) {
		t.Errorf("a second open clock of the round: %v", err)
	}
	list, err := b.store.List(t.Context(), b.db.Pool, b.subject.ID)
	if err != nil || len(list) != 2 || list[0].Phase != clock.Met || list[1].Phase != clock.Running {
		t.Errorf("%v, %v", list, err)
	}
}

func TestNothingHappensToWhatHasStopped(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(8))
	b.stop("2026-03-02 10:00:00")
	before := b.types()
	b.pause("2026-03-02 10:01:00")
	b.resume("2026-03-02 10:02:00")
	b.stop("2026-03-02 10:03:00") // a "thank you"
	b.sweep("2026-03-05 10:00:00")
	if got := b.types(); !slices.Equal(got, before) {
		t.Errorf("log %v, was %v", got, before)
	}
}

func TestCancelledAfterDueIsMissedAllTheSame(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(1))
	b.change("2026-03-02 10:00:01", b.store.Cancel, "merged")
	b.wantPhase(clock.Missed)
}

func TestTheMachinesClockJumpsADayAheadAndBack(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(8))
	b.sweep("2026-03-03 10:00:00") // a day too early for this
	b.wantPhase(clock.Missed)
	b.stop("2026-03-02 11:00:00")
	b.wantPhase(clock.Met)
	if names, _ := b.told(); names[len(names)-1] != "clock.met.v1" {
		t.Errorf("told %v", names)
	}
}

func TestTheMachinesClockJumpsADayBack(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-03 09:00:00", hours(4))
	b.pause("2026-03-02 10:00:00") // a day slow: from the start on at most
	b.resume("2026-03-03 10:00:00")
	b.wantDue("2026-03-03 15:00:00")
	b.pause("2026-03-04 11:00:00") // a day fast
	b.resume("2026-03-03 11:30:00")
	b.wantDue("2026-03-03 15:00:00") // a pause that ends before it starts is none
	if done := b.sweep("2026-03-02 12:00:00"); done.Fired != 0 {
		t.Errorf("%d fired before the start", done.Fired)
	}
	b.stop("2026-03-02 12:00:00")
	b.wantPhase(clock.Met)
}
