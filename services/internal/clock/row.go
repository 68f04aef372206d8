package clock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
)

// entryOf reads a row of the log.
func entryOf(row *db.ClockLog) (Entry, error) {
	e := Entry{
		Position: row.Position, Type: Type(row.Type), At: row.OccurTime.UTC(), RecordTime: row.RecordTime.UTC(),
		Actor: row.Actor, ActorKind: eventv1.ActorKind(row.ActorKind), Reason: row.Reason,
		Step: row.Step, Role: row.Role, Scheduled: timeOf(row.ScheduledTime), Amount: time.Duration(row.Amount),
	}
	if len(row.Terms) > 0 {
		e.Terms = new(Terms)
		if err := json.Unmarshal(row.Terms, e.Terms); err != nil {
			return Entry{}, fmt.Errorf("terms of clock %s: %w", row.ClockID, err)
		}
	}
	if len(row.Owner) > 0 {
		e.Owner = new(Owner)
		if err := json.Unmarshal(row.Owner, e.Owner); err != nil {
			return Entry{}, fmt.Errorf("owner of clock %s: %w", row.ClockID, err)
		}
	}
	return e, nil
}

func (s *Store) insertEntry(ctx context.Context, q db.DBTX, clock uuid.UUID, e *Entry) error {
	var terms, owner []byte
	var err error
	if e.Terms != nil {
		if terms, err = json.Marshal(e.Terms); err != nil {
			return fmt.Errorf("encode terms: %w", err)
		}
	}
	if e.Owner != nil {
		if owner, err = json.Marshal(e.Owner); err != nil {
			return fmt.Errorf("encode an owner: %w", err)
		}
	}
	err = s.q.InsertEntry(ctx, q, db.InsertEntryParams{
		ClockID: clock, Position: e.Position, Type: int16(e.Type), OccurTime: e.At, RecordTime: e.RecordTime,
		Actor: e.Actor, ActorKind: int16(e.ActorKind), Reason: e.Reason, Terms: terms, Owner: owner,
		Step: e.Step, Role: e.Role, ScheduledTime: orNull(e.Scheduled), Amount: int64(e.Amount),
	})
	if err != nil {
		return fmt.Errorf("log a clock: %w", err)
	}
	return nil
}

// updateClock brings the cache in line with the state.
func (s *Store) updateClock(ctx context.Context, q db.DBTX, c *Clock, checked string) error {
	err := s.q.UpdateClock(ctx, q, db.UpdateClockParams{
		ID: c.ID, State: int16(c.Phase), OwnerRole: c.Owner.Role, OwnerStaffID: idOrNull(c.Owner.StaffID),
		OwnerDepartmentID: idOrNull(c.Owner.DepartmentID), CalendarID: c.Terms.CalendarID, CalendarVersion: checked,
		PolicyID: idOrNull(c.Terms.PolicyID), PolicyVersion: c.Terms.PolicyVersion, ClauseID: c.Terms.ClauseID,
		Target: int64(c.Target), DueTime: orNull(c.Due), StopTime: orNull(c.Stop), NextStepTime: orNull(c.Next()),
		Version: c.Position,
	})
	if err != nil {
		return fmt.Errorf("update clock %s: %w", c.ID, err)
	}
	return nil
}

func (s *Store) insertClock(ctx context.Context, q db.DBTX, c *Clock) error {
	return s.q.InsertClock(ctx, q, db.InsertClockParams{
		ID: c.ID, SubjectType: c.Subject.Type, SubjectID: c.Subject.ID, Kind: c.Kind, Round: c.Round,
		State: int16(c.Phase), OwnerRole: c.Owner.Role, OwnerStaffID: idOrNull(c.Owner.StaffID),
		OwnerDepartmentID: idOrNull(c.Owner.DepartmentID), CalendarID: c.Terms.CalendarID,
		CalendarVersion: c.Terms.CalendarVersion, PolicyID: idOrNull(c.Terms.PolicyID), PolicyVersion: c.Terms.PolicyVersion,
		ClauseID: c.Terms.ClauseID, Target: int64(c.Target), StartTime: c.State.Start, DueTime: orNull(c.Due),
		StopTime: orNull(c.Stop), NextStepTime: orNull(c.Next()), Version: c.Position,
	})
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
