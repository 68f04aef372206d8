package clock

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Proto gives an owner as the contract has it.
func (o Owner) Proto() *clockv1.ClockOwner {
	if o == (Owner{}) {
		return nil
	}
	return &clockv1.ClockOwner{Role: o.Role, StaffId: idOrEmpty(o.StaffID), DepartmentId: idOrEmpty(o.DepartmentID)}
}

func idOrEmpty(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// TargetProto gives a target as the contract has it.
func TargetProto(t worktime.Target) *clockv1.ClockTarget {
	if t.WorkingDays != 0 {
		return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingDays{WorkingDays: int32(t.WorkingDays)}}
	}
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingTime{WorkingTime: durationpb.New(t.WorkingTime)}}
}

// TargetOf reads a target of the contract; an absent one is the zero Target.
func TargetOf(t *clockv1.ClockTarget) worktime.Target {
	return worktime.Target{WorkingTime: t.GetWorkingTime().AsDuration(), WorkingDays: int(t.GetWorkingDays())}
}

// Proto gives a clock as the contract has it, as of an instant.
func (c *Clock) Proto(now time.Time) *clockv1.Clock {
	out := &clockv1.Clock{
		Id: c.ID.String(), Kind: c.Kind, SubjectType: c.Subject.Type, SubjectId: c.Subject.ID.String(), Round: c.Round,
		Owner: c.Owner.Proto(), State: c.PhaseAt(now), Target: TargetProto(c.Terms.Target),
		WorkingTime: durationpb.New(c.Target), CalendarId: c.Terms.CalendarID, CalendarVersion: c.Terms.CalendarVersion,
		PolicyId: idOrEmpty(c.Terms.PolicyID), PolicyVersion: c.Terms.PolicyVersion, ClauseId: c.Terms.ClauseID,
		StartTime: stamp(c.State.Start), DueTime: stamp(c.Due), StopTime: stamp(c.Stop), StopReason: c.StopReason,
		Elapsed: durationpb.New(c.Elapsed(now)), Remaining: durationpb.New(c.Remaining(now)),
		MissedDetectTime: stamp(c.Detected), NextStepTime: stamp(c.Next()),
	}
	if out.State == Missed {
		real, working := c.Overrun(now)
		out.MissedBy, out.MissedByWorking = durationpb.New(real), durationpb.New(working)
	}
	for _, f := range c.Fired {
		out.Steps = append(out.Steps, &clockv1.ClockStep{
			StepId: f.Step, Action: action(f.Escalate), ScheduledTime: stamp(f.Scheduled), FireTime: stamp(f.Time), Role: f.Role,
		})
	}
	if c.Open() {
		for _, p := range c.Pauses {
			if p.End.IsZero() {
				out.Pauses = append(out.Pauses, &clockv1.ClockPause{Reason: p.Reason, StartTime: stamp(p.Start), Actor: p.Actor})
			}
		}
	}
	return out
}

func action(escalate bool) clockv1.ClockStepAction {
	if escalate {
		return clockv1.ClockStepAction_CLOCK_STEP_ACTION_ESCALATE
	}
	return clockv1.ClockStepAction_CLOCK_STEP_ACTION_WARN
}

// PendingProto gives a clock that has not started, as a policy promises it.
func PendingProto(subject Subject, kind string, round int32, owner Owner, t Terms) *clockv1.Clock {
	return &clockv1.Clock{
		Kind: kind, SubjectType: subject.Type, SubjectId: subject.ID.String(), Round: round, Owner: owner.Proto(),
		State: Pending, Target: TargetProto(t.Target), CalendarId: t.CalendarID, PolicyId: idOrEmpty(t.PolicyID),
		PolicyVersion: t.PolicyVersion, ClauseId: t.ClauseID,
	}
}

func (e *Entry) proto() *clockv1.ClockLogEntry {
	out := &clockv1.ClockLogEntry{
		Position: e.Position, Type: e.Type, OccurTime: stamp(e.At), RecordTime: stamp(e.RecordTime), Actor: e.Actor,
		Reason: e.Reason, StepId: e.Step, ScheduledTime: stamp(e.Scheduled),
	}
	if !e.Scheduled.IsZero() {
		out.Late = durationpb.New(e.Late())
	}
	if t := e.Terms; t != nil {
		out.PolicyVersion, out.ClauseId, out.CalendarId = t.PolicyVersion, t.ClauseID, t.CalendarID
		out.CalendarVersion, out.Target = t.CalendarVersion, TargetProto(t.Target)
		out.WorkingTime = durationpb.New(t.WorkingTime)
	}
	if e.Owner != nil {
		out.Owner = e.Owner.Proto()
	}
	if e.Type == EntryExtended {
		out.WorkingTime = durationpb.New(e.Amount)
	}
	return out
}
