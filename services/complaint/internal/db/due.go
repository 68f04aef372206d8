package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DueFilter says which running deadlines a list has. Nil and empty fields do not restrict.
type DueFilter struct {
	Until                 *time.Time
	OwnerID, DepartmentID *uuid.UUID
	Severity              int16
	// Readers are the keys of a caller who may not read everything.
	Readers []string
	// NotAccused leaves out what is about this member of staff.
	NotAccused *uuid.UUID
	// AfterTime and After are where the page starts; Size is its length.
	AfterTime time.Time
	After     uuid.UUID
	Size      int32
}

// Due is a running deadline.
type Due struct {
	ID, ComplaintID   uuid.UUID
	Number            string
	State, Severity   int16
	DepartmentID      *uuid.UUID
	Kind              string
	Round             int32
	DueTime           time.Time
	OwnerRole         string
	OwnerStaffID      *uuid.UUID
	OwnerDepartmentID *uuid.UUID
}

// ListDue gives a page of deadlines, soonest first. Whoever reads everything walks the deadlines in
// their order; for others the walk is over the open complaints that they read, which are few.
func ListDue(ctx context.Context, db DBTX, f DueFilter) ([]Due, error) {
	query, args := f.query()
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Due])
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", err)
	}
	return found, nil
}

func (f DueFilter) query() (string, []any) {
	var args arguments
	from := "clocks k"
	if f.Readers != nil {
		from = "(SELECT DISTINCT r.complaint_id FROM complaint_readers r WHERE r.reader = ANY (" + args.add(f.Readers) +
			"::text[]) AND r.state < 9) o JOIN clocks k ON k.subject_id = o.complaint_id"
	}
	where := []string{"k.stop_time IS NULL", "(k.due_time, k.id) > (" + args.add(f.AfterTime) + ", " + args.add(f.After) + ")"}
	if f.Until != nil {
		where = append(where, "k.due_time <= "+args.add(*f.Until))
	}
	if f.OwnerID != nil {
		where = append(where, "k.owner_staff_id = "+args.add(*f.OwnerID))
	}
	if f.DepartmentID != nil {
		where = append(where, "c.department_id = "+args.add(*f.DepartmentID))
	}
	if f.Severity != 0 {
		where = append(where, "GREATEST(c.severity, 1) = "+args.add(f.Severity))
	}
	if f.NotAccused != nil {
		where = append(where, "c.accused_staff_id IS DISTINCT FROM "+args.add(*f.NotAccused))
	}
	return "SELECT k.id, c.id, c.number, c.state, c.severity, c.department_id, k.kind, k.round, k.due_time, k.owner_role, " +
		"k.owner_staff_id, k.owner_department_id FROM " + from + " JOIN complaints c ON c.id = k.subject_id WHERE " +
		strings.Join(where, " AND ") + " ORDER BY k.due_time, k.id LIMIT " + args.add(f.Size), args
}
