package db

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

var (
	insertClocks     = pg.NewRows(insertClock)
	insertEntriesAll = pg.NewRows(insertEntry)
	updateClocks     = pg.NewRows(`
UPDATE clocks SET state = new.state, owner_role = new.owner_role, owner_staff_id = new.owner_staff_id,
  owner_department_id = new.owner_department_id, calendar_id = new.calendar_id, calendar_version = new.calendar_version,
  policy_id = new.policy_id, policy_version = new.policy_version, clause_id = new.clause_id, target = new.target,
  due_time = new.due_time, stop_time = new.stop_time, next_step_time = new.next_step_time, version = new.version
FROM (VALUES ($1::smallint, $2::text, $3::uuid, $4::uuid, $5::text, $6::text, $7::uuid, 
  $8::bigint, $9::text, $10::bigint, $11::timestamptz, $12::timestamptz, $13::timestamptz, $14::bigint, $15::uuid)) AS new (state, owner_role, owner_staff_id, owner_department_id, calendar_id, calendar_version, policy_id, policy_version,
  clause_id, target, due_time, stop_time, next_step_time, version, id)
WHERE clocks.id = new.id`)
)

// values are those of all rows, one after the other.
func values[T any](rows []T, of func(*T) []any) []any {
	var out []any
	for i := range rows {
		out = append(out, of(&rows[i])...)
	}
	return out
}

// InsertClocks is InsertClock for any number, by few statements.
func (q *Queries) InsertClocks(ctx context.Context, db DBTX, rows []InsertClockParams) error {
	return insertClocks.Exec(ctx, db, values(rows, func(r *InsertClockParams) []any {
		return []any{
			r.ID, r.SubjectType, r.SubjectID, r.Kind, r.Round, r.State, r.OwnerRole, r.OwnerStaffID, r.OwnerDepartmentID,
			r.CalendarID, r.CalendarVersion, r.PolicyID, r.PolicyVersion, r.ClauseID, r.Target, r.StartTime, r.DueTime,
			r.StopTime, r.NextStepTime, r.Version,
		}
	}))
}

// UpdateClocks is UpdateClock for any number, by few statements.
func (q *Queries) UpdateClocks(ctx context.Context, db DBTX, rows []UpdateClockParams) error {
	return updateClocks.Exec(ctx, db, values(rows, func(r *UpdateClockParams) []any {
		return []any{
			r.State, r.OwnerRole, r.OwnerStaffID, r.OwnerDepartmentID, r.CalendarID, r.CalendarVersion, r.PolicyID,
			r.PolicyVersion, r.ClauseID, r.Target, r.DueTime, r.StopTime, r.NextStepTime, r.Version, r.ID,
		}
	}))
}

// InsertAllEntries is InsertEntry for any number, by few statements.
func (q *Queries) InsertAllEntries(ctx context.Context, db DBTX, rows []InsertEntryParams) error {
	return insertEntriesAll.Exec(ctx, db, values(rows, func(r *InsertEntryParams) []any {
		return []any{
			r.ClockID, r.Position, r.Type, r.OccurTime, r.RecordTime, r.Actor, r.ActorKind, r.Reason, r.Terms, r.Owner,
			r.Step, r.Role, r.ScheduledTime, r.Amount,
		}
	}))
}

// A log is read after its clock is held, so that it has what whoever held it before added.
const listHeldEntries = `
SELECT l.clock_id, l.position, l.type, l.occur_time, l.record_time, l.actor, l.actor_kind, l.reason, l.terms, l.owner, l.step,
  l.role, l.scheduled_time, l.amount
FROM clock_log l WHERE l.clock_id = ANY(ARRAY(
  SELECT c.id FROM clocks c WHERE c.subject_id = $1 AND ($2::boolean OR c.stop_time IS NULL)
    AND (cardinality($3::text[]) = 0 OR c.kind = ANY($3::text[])) AND ($4::integer = 0 OR c.round = $4)))
ORDER BY l.clock_id, l.position`

// HoldWithEntries is HoldClocks and the logs of what it holds, in one round trip.
func (q *Queries) HoldWithEntries(ctx context.Context, tx pgx.Tx, arg HoldClocksParams) (clocks []Clock, log []ClockLog, err error) {
	args := []any{arg.SubjectID, arg.Ended, arg.Kinds, arg.Round}
	b := new(pgx.Batch)
	b.Queue(holdClocks, args...).Query(func(rows pgx.Rows) (err error) {
		clocks, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Clock])
		return err
	})
	b.Queue(listHeldEntries, args...).Query(func(rows pgx.Rows) (err error) {
		log, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ClockLog])
		return err
	})
	err = tx.SendBatch(ctx, b).Close()
	return clocks, log, err
}
