package clock

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
)

// The types of events; their payload is clockv1.ClockChanged.
const (
	TypeWarned     = "clock.warned.v1"
	TypeEscalated  = "clock.escalated.v1"
	TypeMissed     = "clock.missed.v1"
	TypeMet        = "clock.met.v1"
	TypeCancelled  = "clock.cancelled.v1"
	TypeStopped    = "clock.stopped.v1"
	TypeRetargeted = "clock.retargeted.v1"
)

// typeOf gives the event that tells of an entry; none for what the case's own events tell.
func typeOf(s *State, e *Entry) string {
	switch e.Type {
	case EntryWarned:
		return TypeWarned
	case EntryEscalated:
		return TypeEscalated
	case EntryMissed:
		return TypeMissed
	case EntryRetargeted:
		return TypeRetargeted
	case EntryStopped, EntryCancelled:
		switch s.Phase {
		case Met:
			return TypeMet
		case Cancelled:
			return TypeCancelled
		}
		return TypeStopped
	}
	return ""
}

// note keeps the event that tells of an entry until the entry is stored.
func (h *held) note(before *State, e *Entry) {
	name := typeOf(&h.State, e)
	if name == "" {
		return
	}
	payload := &clockv1.ClockChanged{
		Kind: h.Kind, SubjectType: h.Subject.Type, SubjectId: h.Subject.ID.String(), Round: h.Round,
		State: h.Phase, StateBefore: before.Phase, Owner: h.Owner.Proto(), DueTime: stamp(h.Due),
		StepId: e.Step, Role: e.Role, ScheduledTime: stamp(e.Scheduled), StopTime: stamp(h.Stop), StopReason: h.StopReason,
		PolicyVersion: h.Terms.PolicyVersion, ClauseId: h.Terms.ClauseID,
	}
	if !e.Scheduled.IsZero() {
		payload.Late = durationpb.New(e.Late())
	}
	if e.Type == EntryRetargeted {
		payload.Reason, payload.DueTimeBefore = e.Reason, stamp(before.Due)
	}
	h.events = append(h.events, event.Event{Type: name, SubjectID: h.ID, SubjectVersion: e.Position, OccurTime: e.At, Payload: payload})
}

// tell emits what was noted.
func (h *held) tell(tx *write.Tx) {
	for _, e := range h.events {
		tx.Emit(e)
	}
	h.events = nil
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
