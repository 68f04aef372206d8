package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
)

const selectStaff = `
SELECT id, name, department_id, posts, skills, languages, status, issuer, subject, version
FROM directory_staff `

// StaffByIdentity returns the member of staff whose tokens have this issuer and subject,
// or ErrUnknown. An identity that two rows claim, which only events that cross can bring
// about for a moment, is nobody's.
func StaffByIdentity(ctx context.Context, db pg.DBTX, issuer, subject string) (Member, error) {
	found, err := members(ctx, db, selectStaff+`WHERE issuer = $1 AND subject = $2 LIMIT 2`, issuer, subject)
	if err != nil {
		return Member{}, err
	}
	if len(found) != 1 {
		return Member{}, ErrUnknown
	}
	return found[0], nil
}

// Staff returns a member of staff, or ErrUnknown.
func Staff(ctx context.Context, db pg.DBTX, id uuid.UUID) (Member, error) {
	found, err := members(ctx, db, selectStaff+`WHERE id = $1`, id)
	if err != nil {
		return Member{}, err
	}
	if len(found) == 0 {
		return Member{}, ErrUnknown
	}
	return found[0], nil
}

func members(ctx context.Context, db pg.DBTX, query string, args ...any) ([]Member, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read staff: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Member, error) {
		var m Member
		var posts []int16
		err := row.Scan(&m.ID, &m.Name, &m.DepartmentID, &posts, &m.Skills, &m.Languages, &m.Status,
			&m.Issuer, &m.Subject, &m.Version)
		for _, p := range posts {
			m.Posts = append(m.Posts, ticketv1.Post(p))
		}
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("read staff: %w", err)
	}
	return found, nil
}

const selectDepartment = `
SELECT id, code, name_zh, name_en, function, parent_id, head_staff_id, version, closed
FROM directory_departments `

// Department returns a department, or ErrUnknown.
func Department(ctx context.Context, db pg.DBTX, id uuid.UUID) (Unit, error) {
	return department(ctx, db, selectDepartment+`WHERE id = $1`, id)
}

// DepartmentByFunction returns the open department that does this, the one added first when
// there are several, or ErrUnknown.
func DepartmentByFunction(ctx context.Context, db pg.DBTX, function ticketv1.DepartmentFunction) (Unit, error) {
	return department(ctx, db, selectDepartment+`WHERE function = $1 AND NOT closed ORDER BY id LIMIT 1`, int16(function))
}

func department(ctx context.Context, db pg.DBTX, query string, args ...any) (Unit, error) {
	var d Unit
	var parent, head *uuid.UUID
	err := db.QueryRow(ctx, query, args...).Scan(&d.ID, &d.Code, &d.NameZH, &d.NameEN, &d.Function,
		&parent, &head, &d.Version, &d.Closed)
	if errors.Is(err, pgx.ErrNoRows) {
		return Unit{}, ErrUnknown
	}
	if err != nil {
		return Unit{}, fmt.Errorf("read department: %w", err)
	}
	if parent != nil {
		d.ParentID = *parent
	}
	if head != nil {
		d.HeadStaffID = *head
	}
	return d, nil
}
