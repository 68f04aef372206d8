// Package directory keeps, in the databases of the services that do not own it, a copy of
// the organisation: departments and staff. Rows come from the events of service-ticket
// ([Handle]). Rights never follow from them; they say who somebody is, whom a department
// answers to and which department does a step.
package directory

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the copies' tables; apply it before the service's own.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "directory", FS: migrations}
}

// Source is the name of the service whose events Handle takes.
const Source = "service-ticket"

// The types of events that carry a part of the directory.
const (
	TypeDepartment = "department.changed.v1"
	TypeStaff      = "staff.changed.v1"
)

// ErrUnknown says that the directory has nothing of that id, identity or function, at
// least not yet.
var ErrUnknown = errors.New("the directory does not know it")

// Unit is a department as this service knows it. Zero ids mean none.
type Unit struct {
	ID             uuid.UUID
	Code           string
	NameZH, NameEN string
	Function       ticketv1.DepartmentFunction
	ParentID       uuid.UUID
	HeadStaffID    uuid.UUID
	Version        int64
	// Closed: it is no more, and does nothing new.
	Closed bool
}

// Member is a member of staff as this service knows them.
type Member struct {
	ID              uuid.UUID
	Name            string
	DepartmentID    uuid.UUID
	Posts           []ticketv1.Post
	Skills          []string
	Languages       []string
	Status          ticketv1.StaffStatus
	Issuer, Subject string
	Version         int64
}

// Handle applies one event of service-ticket, unless what is stored is as new or newer,
// and takes no notice of types that carry nothing of the directory. It is the Handle of an
// event.Consumer, or a part of one.
func Handle(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope) error {
	switch env.GetType() {
	case TypeDepartment:
		payload, err := event.Unpack[*ticketv1.DepartmentChanged](env)
		if err != nil {
			return err
		}
		return applyDepartment(ctx, tx, payload.GetDepartment(), env.GetSubjectVersion())
	case TypeStaff:
		payload, err := event.Unpack[*ticketv1.StaffChanged](env)
		if err != nil {
			return err
		}
		return applyStaff(ctx, tx, payload.GetStaff(), env.GetSubjectVersion())
	}
	return nil
}

const upsertDepartment = `
INSERT INTO directory_departments (id, code, name_zh, name_en, function, parent_id, head_staff_id, version, closed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET
  code = excluded.code, name_zh = excluded.name_zh, name_en = excluded.name_en, function = excluded.function,
  parent_id = excluded.parent_id, head_staff_id = excluded.head_staff_id, version = excluded.version,
  closed = excluded.closed
WHERE directory_departments.version < excluded.version`

func applyDepartment(ctx context.Context, db pg.DBTX, d *ticketv1.Department, version int64) error {
	id, err := uuid.Parse(d.GetId())
	if err != nil {
		return fmt.Errorf("department: id: %w", err)
	}
	parent, err := optional(d.GetParentId())
	if err != nil {
		return fmt.Errorf("department %s: parent_id: %w", id, err)
	}
	head, err := optional(d.GetHeadStaffId())
	if err != nil {
		return fmt.Errorf("department %s: head_staff_id: %w", id, err)
	}
	_, err = db.Exec(ctx, upsertDepartment, id, d.GetCode(), d.GetName().GetZh(), d.GetName().GetEn(),
		int16(d.GetFunction()), parent, head, version, d.GetCloseTime() != nil)
	if err != nil {
		return fmt.Errorf("store department %s: %w", id, err)
	}
	return nil
}

const upsertStaff = `
INSERT INTO directory_staff (id, name, department_id, posts, skills, languages, status, issuer, subject, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
  name = excluded.name, department_id = excluded.department_id, posts = excluded.posts,
  skills = excluded.skills, languages = excluded.languages, status = excluded.status,
  issuer = excluded.issuer, subject = excluded.subject, version = excluded.version
WHERE directory_staff.version < excluded.version`

func applyStaff(ctx context.Context, db pg.DBTX, s *ticketv1.Staff, version int64) error {
	id, err := uuid.Parse(s.GetId())
	if err != nil {
		return fmt.Errorf("staff: id: %w", err)
	}
	department, err := uuid.Parse(s.GetDepartmentId())
	if err != nil {
		return fmt.Errorf("staff %s: department_id: %w", id, err)
	}
	posts := make([]int16, 0, len(s.GetPosts()))
	for _, p := range s.GetPosts() {
		posts = append(posts, int16(p))
	}
	_, err = db.Exec(ctx, upsertStaff, id, s.GetName(), department, posts, some(s.GetSkills()), some(s.GetLanguages()),
		int16(s.GetStatus()), s.GetIssuer(), s.GetSubject(), version)
	if err != nil {
		return fmt.Errorf("store staff %s: %w", id, err)
	}
	return nil
}

// optional reads an id that may be absent.
func optional(id string) (*uuid.UUID, error) {
	if id == "" {
		return nil, nil
	}
	parsed, err := uuid.Parse(id)
	return &parsed, err
}

// some turns no list into an empty one, for columns that are never null.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
