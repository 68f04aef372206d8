package clock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
	"github.com/kefu-suite/kefu/services/internal/worktime"
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

// entryRow is an entry as it is stored.
func entryRow(clock uuid.UUID, e *Entry) (db.InsertEntryParams, error) {
	var terms, owner []byte
	var err error
	if e.Terms != nil {
		if terms, err = json.Marshal(e.Terms); err != nil {
			return db.InsertEntryParams{}, fmt.Errorf("encode terms: %w", err)
		}
	}
	if e.Owner != nil {
		if owner, err = json.Marshal(e.Owner); err != nil {
			return db.InsertEntryParams{}, fmt.Errorf("encode an owner: %w", err)
		}
	}
	return db.InsertEntryParams{
		ClockID: clock, Position: e.Position, Type: int16(e.Type), OccurTime: e.At, RecordTime: e.RecordTime,
		Actor: e.Actor, ActorKind: int16(e.ActorKind), Reason: e.Reason, Terms: terms, Owner: owner,
		Step: e.Step, Role: e.Role, ScheduledTime: orNull(e.Scheduled), Amount: int64(e.Amount),
	}, nil
}

// changedRow is the cache of a clock that was stored before.
func changedRow(c *Clock, checked string) db.UpdateClockParams {
	return db.UpdateClockParams{
		ID: c.ID, State: int16(c.Phase), OwnerRole: c.Owner.Role, OwnerStaffID: idOrNull(c.Owner.StaffID),
		OwnerDepartmentID: idOrNull(c.Owner.DepartmentID), CalendarID: c.Terms.CalendarID, CalendarVersion: checked,
		PolicyID: idOrNull(c.Terms.PolicyID), PolicyVersion: c.Terms.PolicyVersion, ClauseID: c.Terms.ClauseID,
		Target: int64(c.Target), DueTime: orNull(c.Due), StopTime: orNull(c.Stop), NextStepTime: orNull(c.Next()),
		Version: c.Position,
	}
}

// newRow is the cache of a clock that is stored for the first time.
func newRow(c *Clock, checked string) db.InsertClockParams {
	as := changedRow(c, checked)
	return db.InsertClockParams{
		ID: c.ID, SubjectType: c.Subject.Type, SubjectID: c.Subject.ID, Kind: c.Kind, Round: c.Round, StartTime: c.State.Start,
		State: as.State, OwnerRole: as.OwnerRole, OwnerStaffID: as.OwnerStaffID, OwnerDepartmentID: as.OwnerDepartmentID,
		CalendarID: as.CalendarID, CalendarVersion: as.CalendarVersion, PolicyID: as.PolicyID, PolicyVersion: as.PolicyVersion,
		ClauseID: as.ClauseID, Target: as.Target, DueTime: as.DueTime, StopTime: as.StopTime, NextStepTime: as.NextStepTime,
		Version: as.Version,
	}
}

// writing collects what is to be stored of clocks, so that several take one statement.
type writing struct {
	store   *Store
	frozen  map[calendarKey]bool
	begun   []db.InsertClockParams
	changed []db.UpdateClockParams
	entries []db.InsertEntryParams
}

// add takes what is not stored of a clock. Calendars that its terms were resolved with go to
// q at once: they stand on their own.
func (w *writing) add(ctx context.Context, q db.DBTX, h *held) error {
	for i := len(h.log) - h.added; i < len(h.log); i++ {
		e := &h.log[i]
		if e.Terms != nil {
			if err := w.freeze(ctx, q, e.Terms, h.entered[0]); err != nil {
				return err
			}
			h.entered = h.entered[1:]
		}
		row, err := entryRow(h.ID, e)
		if err != nil {
			return err
		}
		w.entries = append(w.entries, row)
	}
	if h.fresh {
		w.begun = append(w.begun, newRow(&h.Clock, h.checked))
	} else {
		w.changed = append(w.changed, changedRow(&h.Clock, h.checked))
	}
	h.added, h.fresh, h.stored = 0, false, h.checked
	return nil
}

func (w *writing) freeze(ctx context.Context, q db.DBTX, t *Terms, cal *worktime.Calendar) error {
	key := calendarKey{t.CalendarID, t.CalendarVersion}
	if w.frozen[key] {
		return nil
	}
	if w.frozen == nil {
		w.frozen = map[calendarKey]bool{}
	}
	w.frozen[key] = true
	return w.store.freeze(ctx, q, t, cal)
}

// send hands over what was collected. Clocks that ended go first: they make room for new ones
// of their kind.
func (w *writing) send(ctx context.Context, q db.DBTX) error {
	if err := w.store.q.UpdateClocks(ctx, q, w.changed); err != nil {
		return fmt.Errorf("update clocks: %w", err)
	}
	if err := w.store.q.InsertClocks(ctx, q, w.begun); err != nil {
		return fmt.Errorf("store clocks: %w", err)
	}
	if err := w.store.q.InsertAllEntries(ctx, q, w.entries); err != nil {
		return fmt.Errorf("log clocks: %w", err)
	}
	return nil
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
