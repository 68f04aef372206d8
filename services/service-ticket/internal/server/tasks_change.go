package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// ChangeTask changes what an open task is, when it is due and who does it.
func (s *Server) ChangeTask(ctx context.Context, req *ticketv1.ChangeTaskRequest) (*ticketv1.Task, error) {
	if err := validTime("due_time", req.GetDueTime()); err != nil {
		return nil, err
	}
	owner, err := parseOptional("owner_staff_id", req.GetOwnerStaffId())
	if err != nil {
		return nil, err
	}
	department, err := parseOptional("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	due := instant(req.GetDueTime())
	if req.GetTitle() == "" && due.IsZero() && owner == uuid.Nil && department == uuid.Nil {
		return nil, rpcerr.Invalid("due_time", rpcerr.T(
			"nothing is given to change; give a due time, a title, an owner or a department",
			"未填写要修改的内容；请填写到期时间、标题、负责人或部门"))
	}
	out, err := s.onTask(ctx, req, func(ctx context.Context, tx *write.Tx, t *db.Ticket, _ *db.Task) (bool, error) {
		return s.covers(ctx, tx, authz.FromContext(ctx).Scope, t)
	}, func(ctx context.Context, tx *write.Tx, t *db.Ticket, row *db.Task) (*ticketv1.Task, error) {
		before := *row
		if req.GetTitle() != "" {
			row.Title = req.GetTitle()
		}
		if !due.IsZero() {
			if err := ticket.DueAhead("due_time", due, s.now()); err != nil {
				return nil, err
			}
			row.DueTime = due
		}
		switch {
		case owner != uuid.Nil:
			row.OwnerStaffID, row.DepartmentID = &owner, department
			if err := s.owned(ctx, tx, row, "owner_staff_id"); err != nil {
				return nil, err
			}
		case department != uuid.Nil:
			row.OwnerStaffID, row.DepartmentID = nil, department
		}
		return s.storeChange(ctx, tx, t, &before, row, req.GetReason())
	})
	if pg.Violates(err, "tasks_department_id_fkey") {
		return nil, unknownDepartment("department_id", department)
	}
	return out, err
}

// storeChange writes a changed task with what was before.
func (s *Server) storeChange(ctx context.Context, tx *write.Tx, t *db.Ticket, before, row *db.Task, reason string) (*ticketv1.Task, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	me, err := s.me(ctx, tx)
	if err != nil {
		return nil, err
	}
	row.UpdateTime, row.Version = s.now(), row.Version+1
	if err := s.q.ChangeTask(ctx, tx, db.ChangeTaskParams{
		ID: row.ID, Title: row.Title, DepartmentID: row.DepartmentID, OwnerStaffID: row.OwnerStaffID,
		DueTime: row.DueTime, UpdateTime: row.UpdateTime, Version: row.Version,
	}); err != nil {
		return nil, err
	}
	change := db.InsertTaskChangeParams{
		ID: id, TicketID: row.TicketID, TaskID: row.ID, Version: row.Version, Reason: reason, TitleChanged: row.Title != before.Title,
		DueTimeBefore: before.DueTime, DueTime: row.DueTime, OwnerBefore: before.OwnerStaffID, Owner: row.OwnerStaffID,
		DepartmentBefore: before.DepartmentID, Department: row.DepartmentID, CreateTime: row.UpdateTime,
	}
	if me != nil {
		change.StaffID = &me.ID
	}
	if err := s.q.InsertTaskChange(ctx, tx, change); err != nil {
		return nil, fmt.Errorf("keep what was before: %w", err)
	}
	e := taskEvent("task.changed.v1", t, row, row.UpdateTime)
	payload, ok := e.Payload.(*ticketv1.TaskChanged)
	if !ok {
		return nil, errors.New("a task's event tells of something else")
	}
	payload.DueTimeBefore = timestamppb.New(before.DueTime)
	tx.Emit(e)
	out := taskProto(row)
	tx.Audit("task", row.ID, out)
	return out, nil
}

func taskChangeProto(row *db.TaskChange) *ticketv1.TaskChange {
	return &ticketv1.TaskChange{
		Id: row.ID.String(), TaskId: row.TaskID.String(), Version: row.Version, Reason: row.Reason, TitleChanged: row.TitleChanged,
		DueTimeBefore: timestamppb.New(row.DueTimeBefore), DueTime: timestamppb.New(row.DueTime),
		OwnerStaffIdBefore: idString(row.OwnerBefore), OwnerStaffId: idString(row.Owner),
		DepartmentIdBefore: row.DepartmentBefore.String(), DepartmentId: row.Department.String(),
		StaffId: idString(row.StaffID), CreateTime: timestamppb.New(row.CreateTime),
	}
}
