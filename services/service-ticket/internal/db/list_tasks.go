package db

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// TaskFilter narrows ListOpenTasks to what is in somebody's hands, and to a page of it.
type TaskFilter struct {
	StaffID      uuid.UUID
	DepartmentID uuid.UUID
	Kinds        []int16
	// Before is the moment at which the list ends, nil for none.
	Before *time.Time
	// AfterDue and After are the place after which the page goes on.
	AfterDue time.Time
	After    uuid.UUID
	Size     int32
}

// The first of each kind, merged: those of a person and, without an owner, of their department.
// Each goes by an index that leads with its key and its kind and goes on in the order of the
// list, so that a page costs as much of a million open tasks as of a hundred.
var listOpenTasks = `
SELECT ` + taskColumns + ` FROM (
  SELECT o.* FROM unnest($1::smallint[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT x.* FROM tasks x WHERE x.owner_staff_id = $2 AND x.kind = k.kind AND x.state = 1
      AND (x.due_time, x.id) > ($4, $5) AND x.due_time < COALESCE($6::timestamptz, 'infinity')
    ORDER BY x.due_time, x.id LIMIT $7) o
  UNION ALL
  SELECT o.* FROM unnest($1::smallint[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT x.* FROM tasks x WHERE x.department_id = $3 AND x.owner_staff_id IS NULL AND x.kind = k.kind AND x.state = 1
      AND (x.due_time, x.id) > ($4, $5) AND x.due_time < COALESCE($6::timestamptz, 'infinity')
    ORDER BY x.due_time, x.id LIMIT $7) o
) t ORDER BY t.due_time, t.id LIMIT $7`

// ListOpenTasks reads a page of the open tasks in somebody's hands, the first due first.
func (q *Queries) ListOpenTasks(ctx context.Context, db DBTX, f TaskFilter) ([]Task, error) {
	rows, err := db.Query(ctx, listOpenTasks, f.Kinds, f.StaffID, f.DepartmentID, f.AfterDue, f.After, f.Before, f.Size)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Task])
}
