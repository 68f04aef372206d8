package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
)

// CreateDepartment adds a department.
func (s *Server) CreateDepartment(ctx context.Context, req *ticketv1.CreateDepartmentRequest) (*ticketv1.Department, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Department{ID: id, CreateTime: now, UpdateTime: now, Version: 1}
	if err := fillDepartment(row, req.GetDepartment()); err != nil {
		return nil, err
	}
	out, err := write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.Department, error) {
		return departmentChanged(&tx.Record, row), s.q.InsertDepartment(ctx, tx, db.InsertDepartmentParams{
			ID: id, Code: row.Code, NameZh: row.NameZh, NameEn: row.NameEn, Function: row.Function,
			ParentID: row.ParentID, HeadStaffID: row.HeadStaffID, CreateTime: row.CreateTime,
		})
	})
	return out, departmentRefused(err, row)
}

// GetDepartment returns a department.
func (s *Server) GetDepartment(ctx context.Context, req *ticketv1.GetDepartmentRequest) (*ticketv1.Department, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetDepartment(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("department", id.String())
	}
	if err != nil {
		return nil, fmt.Errorf("read department: %w", err)
	}
	return departmentProto(&row), nil
}

// ListDepartments lists departments in the order they were added.
func (s *Server) ListDepartments(ctx context.Context, req *ticketv1.ListDepartmentsRequest) (*ticketv1.ListDepartmentsResponse, error) {
	after, err := s.cursor(ctx, req)
	if err != nil {
		return nil, err
	}
	var rows []db.Department
	if req.GetCode() != "" {
		var row db.Department
		if row, err = s.q.GetDepartmentByCode(ctx, s.pool, req.GetCode()); err == nil {
			rows = append(rows, row)
		}
	} else {
		rows, err = s.q.ListDepartments(ctx, s.pool, after, onceMore(req))
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("list departments: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(row db.Department) string { return row.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListDepartmentsResponse{NextPageToken: next}
	for i := range rows {
		out.Departments = append(out.Departments, departmentProto(&rows[i]))
	}
	return out, nil
}

// UpdateDepartment changes named fields.
func (s *Server) UpdateDepartment(ctx context.Context, req *ticketv1.UpdateDepartmentRequest) (*ticketv1.Department, error) {
	id, err := parseID("department.id", req.GetDepartment().GetId())
	if err != nil {
		return nil, err
	}
	moved := names(req.GetUpdateMask(), "parent_id")
	row := new(db.Department)
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Department, error) {
		var tree []db.LockDepartmentTreeRow
		if moved {
			var err error
			if tree, err = s.q.LockDepartmentTree(ctx, tx); err != nil {
				return nil, fmt.Errorf("lock the departments: %w", err)
			}
		}
		if err := s.lockDepartment(ctx, tx, row, id, req.GetDepartment().GetEtag()); err != nil {
			return nil, err
		}
		merged := departmentProto(row)
		if err := fieldmask.Apply(merged, req.GetDepartment(), req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		// The rules of a department, with the paths of this request.
		if err := rpc.Check(s.validator, &ticketv1.CreateDepartmentRequest{Department: merged}); err != nil {
			return nil, err
		}
		if err := fillDepartment(row, merged); err != nil {
			return nil, err
		}
		if moved {
			if err := department.CheckParent(id, idValue(row.ParentID), parents(tree)); err != nil {
				return nil, err
			}
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if err := s.q.UpdateDepartment(ctx, tx, db.UpdateDepartmentParams{
			ID: id, Code: row.Code, NameZh: row.NameZh, NameEn: row.NameEn, Function: row.Function,
			ParentID: row.ParentID, HeadStaffID: row.HeadStaffID, UpdateTime: row.UpdateTime, Version: row.Version,
		}); err != nil {
			return nil, fmt.Errorf("update department: %w", err)
		}
		return departmentChanged(&tx.Record, row), nil
	})
	return out, departmentRefused(err, row)
}

func (s *Server) lockDepartment(ctx context.Context, tx *write.Tx, row *db.Department, id uuid.UUID, etag string) error {
	held, err := s.q.LockDepartment(ctx, tx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound("department", id.String())
	}
	if err != nil {
		return fmt.Errorf("lock department: %w", err)
	}
	*row = held
	return current(etag, row.Version, "department", id)
}

func parents(tree []db.LockDepartmentTreeRow) map[uuid.UUID]uuid.UUID {
	out := make(map[uuid.UUID]uuid.UUID, len(tree))
	for _, node := range tree {
		out[node.ID] = idValue(node.ParentID)
	}
	return out
}

// departmentChanged records that a department is now what the row says.
func departmentChanged(record *write.Record, row *db.Department) *ticketv1.Department {
	d := departmentProto(row)
	record.Emit(event.Event{
		Type: directory.TypeDepartment, SubjectID: row.ID, SubjectVersion: row.Version, OccurTime: row.UpdateTime,
		Payload: &ticketv1.DepartmentChanged{Department: d},
	})
	record.Audit("department", row.ID, d)
	return d
}

// departmentRefused tells what a constraint means to the caller.
func departmentRefused(err error, row *db.Department) error {
	switch {
	case pg.Violates(err, "departments_code_key"):
		return rpcerr.Exists("department", "code", row.Code)
	case pg.Violates(err, "departments_parent_id_fkey"):
		return unknownDepartment("department.parent_id", idValue(row.ParentID))
	case pg.Violates(err, "departments_head_staff_id_fkey"):
		return unknownStaff("department.head_staff_id", idValue(row.HeadStaffID))
	}
	return err
}

// fillDepartment writes to a row what a caller may set of a department.
func fillDepartment(row *db.Department, d *ticketv1.Department) error {
	if err := department.CheckName("department.name", d.GetName()); err != nil {
		return err
	}
	parent, err := parseOptional("department.parent_id", d.GetParentId())
	if err != nil {
		return err
	}
	head, err := parseOptional("department.head_staff_id", d.GetHeadStaffId())
	if err != nil {
		return err
	}
	row.Code, row.NameZh, row.NameEn = d.GetCode(), d.GetName().GetZh(), d.GetName().GetEn()
	row.Function, row.ParentID, row.HeadStaffID = int16(d.GetFunction()), idPtr(parent), idPtr(head)
	return nil
}

func departmentProto(row *db.Department) *ticketv1.Department {
	return &ticketv1.Department{
		Id: row.ID.String(), Code: row.Code, Name: &typev1.Text{Zh: row.NameZh, En: row.NameEn},
		Function: ticketv1.DepartmentFunction(row.Function), ParentId: idString(row.ParentID),
		HeadStaffId: idString(row.HeadStaffID), CreateTime: timestamppb.New(row.CreateTime),
		UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
		CloseTime: stamp(row.CloseTime), SuccessorId: idString(row.SuccessorID),
	}
}
