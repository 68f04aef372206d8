package db

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// atOnce is how many rows one statement writes at most. Each number of rows is a statement of
// its own, of which a session is to keep a few only.
const atOnce = 8

// statements writes 1 to atOnce rows of parameters into a statement, by their number.
func statements(head string, columns int, types []string, tail string) [atOnce + 1]string {
	var out [atOnce + 1]string
	for n := 1; n <= atOnce; n++ {
		rows := make([]string, n)
		for i := range rows {
			row := make([]string, columns)
			for j := range row {
				row[j] = fmt.Sprintf("$%d", i*columns+j+1)
				if i == 0 && types != nil {
					row[j] += "::" + types[j]
				}
			}
			rows[i] = "(" + strings.Join(row, ", ") + ")"
		}
		out[n] = head + strings.Join(rows, ", ") + tail
	}
	return out
}

// before is what stands in a generated statement before its values.
func before(insert string) string {
	head, _, _ := strings.Cut(insert, "VALUES")
	return head + "VALUES "
}

var (
	insertClocks     = statements(before(insertClock), 20, nil, "")
	insertEntriesAll = statements(before(insertEntry), 14, nil, "")
	updateClocks     = statements(`
UPDATE clocks SET state = new.state, owner_role = new.owner_role, owner_staff_id = new.owner_staff_id,
  owner_department_id = new.owner_department_id, calendar_id = new.calendar_id, calendar_version = new.calendar_version,
  policy_id = new.policy_id, policy_version = new.policy_version, clause_id = new.clause_id, target = new.target,
  due_time = new.due_time, stop_time = new.stop_time, next_step_time = new.next_step_time, version = new.version
FROM (VALUES `, 15, []string{
		"smallint", "text", "uuid", "uuid", "text", "text", "uuid", "bigint", "text", "bigint",
		"timestamptz", "timestamptz", "timestamptz", "bigint", "uuid",
	}, `) AS new (state, owner_role, owner_staff_id, owner_department_id, calendar_id, calendar_version, policy_id, policy_version,
  clause_id, target, due_time, stop_time, next_step_time, version, id)
WHERE clocks.id = new.id`)
)

func many[T any](ctx context.Context, db DBTX, statements *[atOnce + 1]string, rows []T, values func(*T) []any) error {
	for part := range slices.Chunk(rows, atOnce) {
		var args []any
		for i := range part {
			args = append(args, values(&part[i])...)
		}
		if _, err := db.Exec(ctx, statements[len(part)], args...); err != nil {
			return err
		}
	}
	return nil
}

// InsertClocks is InsertClock for any number, by a statement for several.
func (q *Queries) InsertClocks(ctx context.Context, db DBTX, rows []InsertClockParams) error {
	return many(ctx, db, &insertClocks, rows, func(r *InsertClockParams) []any {
		return []any{
			r.ID, r.SubjectType, r.SubjectID, r.Kind, r.Round, r.State, r.OwnerRole, r.OwnerStaffID, r.OwnerDepartmentID,
			r.CalendarID, r.CalendarVersion, r.PolicyID, r.PolicyVersion, r.ClauseID, r.Target, r.StartTime, r.DueTime,
			r.StopTime, r.NextStepTime, r.Version,
		}
	})
}

// UpdateClocks is UpdateClock for any number, by a statement for several.
func (q *Queries) UpdateClocks(ctx context.Context, db DBTX, rows []UpdateClockParams) error {
	return many(ctx, db, &updateClocks, rows, func(r *UpdateClockParams) []any {
		return []any{
			r.State, r.OwnerRole, r.OwnerStaffID, r.OwnerDepartmentID, r.CalendarID, r.CalendarVersion, r.PolicyID,
			r.PolicyVersion, r.ClauseID, r.Target, r.DueTime, r.StopTime, r.NextStepTime, r.Version, r.ID,
		}
	})
}

// InsertAllEntries is InsertEntry for any number, by a statement for several.
func (q *Queries) InsertAllEntries(ctx context.Context, db DBTX, rows []InsertEntryParams) error {
	return many(ctx, db, &insertEntriesAll, rows, func(r *InsertEntryParams) []any {
		return []any{
			r.ClockID, r.Position, r.Type, r.OccurTime, r.RecordTime, r.Actor, r.ActorKind, r.Reason, r.Terms, r.Owner,
			r.Step, r.Role, r.ScheduledTime, r.Amount,
		}
	})
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
