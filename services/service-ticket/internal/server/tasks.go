package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// CreateTask asks a department or a person for a part of the work.
func (s *Server) CreateTask(ctx context.Context, req *ticketv1.CreateTaskRequest) (*ticketv1.Task, error) {
	of, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	row, err := s.newTask(req.GetTask())
	if err != nil {
		return nil, err
	}
	row.TicketID = of
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Task, error) {
		t, err := s.lock(ctx, tx, of, "")
		if err != nil {
			return nil, err
		}
		if err := ticket.Delegable(ticket.State(t.State), ticketv1.TaskKind(row.Kind)); err != nil {
			return nil, err
		}
		if err := s.owned(ctx, tx, row, "task.owner_staff_id"); err != nil {
			return nil, err
		}
		if err := s.q.InsertTask(ctx, tx, insertTask(row)); err != nil {
			return nil, fmt.Errorf("add task: %w", err)
		}
		return taskChanged(&tx.Record, "task.created.v1", t, row), nil
	})
	if pg.Violates(err, "tasks_department_id_fkey") {
		return nil, unknownDepartment("task.department_id", row.DepartmentID)
	}
	return out, err
}

// newTask makes the row of a new task.
func (s *Server) newTask(in *ticketv1.Task) (*db.Task, error) {
	if err := validTime("task.due_time", in.GetDueTime()); err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Task{
		ID: id, Title: in.GetTitle(), Required: in.GetRequired(), DueTime: instant(in.GetDueTime()),
		State: int16(ticketv1.TaskState_TASK_STATE_OPEN), CreateTime: now, UpdateTime: now, Version: 1,
		Kind: int16(given(in.GetKind(), ticketv1.TaskKind_TASK_KIND_WORK)),
	}
	if row.Required && row.Kind == int16(ticketv1.TaskKind_TASK_KIND_CALL_BACK) {
		return nil, rpcerr.Invalid("task.required", rpcerr.T(
			"a call-back comes after the solution and cannot hold it back; leave it out", "回访在解决之后进行，不能阻止解决；请不要填写"))
	}
	if row.DepartmentID, err = parseOptional("task.department_id", in.GetDepartmentId()); err != nil {
		return nil, err
	}
	owner, err := parseOptional("task.owner_staff_id", in.GetOwnerStaffId())
	if err != nil {
		return nil, err
	}
	row.OwnerStaffID = idPtr(owner)
	if row.DepartmentID == uuid.Nil && owner == uuid.Nil {
		return nil, rpcerr.Invalid("task.department_id", rpcerr.T(
			"neither a department nor an owner is given; give one of them",
			"部门和负责人均未填写；请至少填写其一"))
	}
	return row, ticket.DueAhead("task.due_time", row.DueTime, now)
}

// owned settles who does a task: whoever stands in for its owner now, and their department
// where none is given.
func (s *Server) owned(ctx context.Context, on db.DBTX, row *db.Task, field string) error {
	if row.OwnerStaffID == nil {
		return nil
	}
	now := s.now()
	absences, err := s.absences(ctx, on, now, now.Add(time.Microsecond))
	if err != nil {
		return err
	}
	who, err := s.q.GetStaff(ctx, on, organisation.StandIn(*row.OwnerStaffID, now, absences))
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownStaff(field, *row.OwnerStaffID)
	}
	if err != nil {
		return fmt.Errorf("read staff: %w", err)
	}
	row.OwnerStaffID = &who.ID
	if row.DepartmentID == uuid.Nil {
		row.DepartmentID = who.DepartmentID
	}
	return notLeft(&who)
}

// CompleteTask records what was done.
func (s *Server) CompleteTask(ctx context.Context, req *ticketv1.CompleteTaskRequest) (*ticketv1.Task, error) {
	return s.endTask(ctx, req, ticketv1.TaskState_TASK_STATE_DONE, req.GetResult(), func(ctx context.Context, tx *write.Tx, t *db.Ticket, row *db.Task) (bool, error) {
		mine, err := s.myTask(ctx, tx, row)
		if err != nil || mine {
			return mine, err
		}
		return s.covers(ctx, tx, authz.Held(ctx, "tickets.work"), t)
	})
}

// CancelTask takes a task back.
func (s *Server) CancelTask(ctx context.Context, req *ticketv1.CancelTaskRequest) (*ticketv1.Task, error) {
	return s.endTask(ctx, req, ticketv1.TaskState_TASK_STATE_CANCELLED, req.GetReason(), func(ctx context.Context, tx *write.Tx, t *db.Ticket, _ *db.Task) (bool, error) {
		return s.covers(ctx, tx, authz.FromContext(ctx).Scope, t)
	})
}

// reaches tells whether a task is within the caller's reach for what they ask.
type reaches func(ctx context.Context, tx *write.Tx, t *db.Ticket, row *db.Task) (bool, error)

// endTask ends a task that is within the caller's reach.
func (s *Server) endTask(ctx context.Context, req verb, to ticketv1.TaskState, result string, reached reaches) (*ticketv1.Task, error) {
	return s.onTask(ctx, req, reached, func(ctx context.Context, tx *write.Tx, t *db.Ticket, row *db.Task) (*ticketv1.Task, error) {
		return s.storeEnd(ctx, tx, t, row, to, result)
	})
}

// onTask does something to an open task that is within the caller's reach, as one write.
func (s *Server) onTask(ctx context.Context, req verb, reached reaches, do func(ctx context.Context, tx *write.Tx, t *db.Ticket, row *db.Task) (*ticketv1.Task, error)) (*ticketv1.Task, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Task, error) {
		row, err := s.q.LockTask(ctx, tx, id)
		if err != nil {
			return nil, missing(err, "task", id)
		}
		t, err := s.q.GetTicket(ctx, tx, row.TicketID)
		if err != nil {
			return nil, fmt.Errorf("read ticket: %w", err)
		}
		ok, err := reached(ctx, tx, &t, &row)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, rpcerr.NotFound("task", id.String())
		}
		if err := current(req.GetEtag(), row.Version, "task", id); err != nil {
			return nil, err
		}
		if err := ticket.Endable(ticketv1.TaskState(row.State)); err != nil {
			return nil, err
		}
		return do(ctx, tx, &t, &row)
	})
}

// storeEnd writes the end of a held task.
func (s *Server) storeEnd(ctx context.Context, tx *write.Tx, t *db.Ticket, row *db.Task, to ticketv1.TaskState, result string) (*ticketv1.Task, error) {
	now := s.now()
	row.State, row.Result, row.EndTime, row.UpdateTime, row.Version = int16(to), result, &now, now, row.Version+1
	if err := s.q.EndTask(ctx, tx, endTask(row)); err != nil {
		return nil, fmt.Errorf("end task: %w", err)
	}
	kind := "task.completed.v1"
	if to == ticketv1.TaskState_TASK_STATE_CANCELLED {
		kind = "task.cancelled.v1"
	}
	return taskChanged(&tx.Record, kind, t, row), nil
}

// openTasks holds the open tasks of a ticket and tells how many of them are required.
func (s *Server) openTasks(ctx context.Context, tx *write.Tx, id uuid.UUID) (open []db.Task, required int, err error) {
	if open, err = s.q.LockOpenTasks(ctx, tx, id); err != nil {
		return nil, 0, fmt.Errorf("read open tasks: %w", err)
	}
	for i := range open {
		if open[i].Required {
			required++
		}
	}
	return open, required, nil
}

// dropTasks cancels the open tasks of a ticket that was cancelled.
func (s *Server) dropTasks(ctx context.Context, tx *write.Tx, t *db.Ticket, reason string) error {
	open, _, err := s.openTasks(ctx, tx, t.ID)
	if err != nil {
		return err
	}
	for i := range open {
		if _, err := s.storeEnd(ctx, tx, t, &open[i], ticketv1.TaskState_TASK_STATE_CANCELLED, reason); err != nil {
			return err
		}
	}
	return nil
}

// myTask tells whether a task is in the caller's hands, or in those of whom they lead.
func (s *Server) myTask(ctx context.Context, on db.DBTX, row *db.Task) (bool, error) {
	scope := authz.Held(ctx, "tasks.work")
	if scope == accessv1.Scope_SCOPE_COMPANY {
		return true, nil
	}
	me, err := s.me(ctx, on)
	if err != nil || me == nil {
		return false, err
	}
	if row.OwnerStaffID != nil && *row.OwnerStaffID == me.ID {
		return true, nil
	}
	return row.DepartmentID == me.DepartmentID && (row.OwnerStaffID == nil || scope == accessv1.Scope_SCOPE_TEAM), nil
}

// me is the caller in the directory, nil for everybody it does not know.
func (s *Server) me(ctx context.Context, on db.DBTX) (*db.Staff, error) {
	caller := authn.FromContext(ctx)
	row, err := s.q.GetStaffByIdentity(ctx, on, caller.Issuer, caller.Subject)
	switch {
	case caller.Kind != authn.Person || errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look the caller up: %w", err)
	}
	return &row, nil
}

// ListTicketTasks lists the tasks of a ticket in the order they were made.
func (s *Server) ListTicketTasks(ctx context.Context, req *ticketv1.ListTicketTasksRequest) (*ticketv1.ListTicketTasksResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	rows, next, err := byID(ctx, s, req, "tasks", func(r db.Task) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.Task, error) {
		return s.q.ListTicketTasks(ctx, s.pool, t.ID, after, size)
	})
	return &ticketv1.ListTicketTasksResponse{Tasks: taskProtos(rows), NextPageToken: next}, err
}

// ListTasks lists the open tasks in the caller's hands, the first due first.
func (s *Server) ListTasks(ctx context.Context, req *ticketv1.ListTasksRequest) (*ticketv1.ListTasksResponse, error) {
	f := db.TaskFilter{Kinds: taskKinds(req.GetKind()), Size: onceMore(req)}
	if err := validTime("due_before", req.GetDueBefore()); err != nil {
		return nil, err
	}
	if req.GetDueBefore() != nil {
		before := instant(req.GetDueBefore())
		f.Before = &before
	}
	var err error
	if f.AfterDue, f.After, err = s.timeCursor(ctx, req); err != nil {
		return nil, err
	}
	me, err := s.me(ctx, s.pool)
	if err != nil || me == nil {
		return &ticketv1.ListTasksResponse{}, err
	}
	f.StaffID, f.DepartmentID = me.ID, me.DepartmentID
	rows, err := s.q.ListOpenTasks(ctx, s.pool, f)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(r db.Task) string { return timeToken(r.DueTime, r.ID) })
	return &ticketv1.ListTasksResponse{Tasks: taskProtos(rows), NextPageToken: next}, err
}

// taskKinds are the kind that is asked for, or all.
func taskKinds(asked ticketv1.TaskKind) (out []int16) {
	for kind := range ticketv1.TaskKind_name {
		if kind != 0 && (asked == 0 || kind == int32(asked)) {
			out = append(out, int16(kind))
		}
	}
	return out
}

// timeToken is a place in a list that is ordered by a time and the id.
func timeToken(at time.Time, id uuid.UUID) string { return fmt.Sprintf("%d %s", at.UnixMicro(), id) }

// timeCursor opens a page token to a place in a list that is ordered by a time and the id.
func (s *Server) timeCursor(ctx context.Context, req paged) (time.Time, uuid.UUID, error) {
	place, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil || place == "" {
		return time.Time{}, uuid.Nil, err
	}
	at, id, _ := strings.Cut(place, " ")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return time.Time{}, uuid.Nil, fmt.Errorf("cursor of a page: %w", err)
	}
	after, err := uuid.Parse(id)
	if err != nil {
		return time.Time{}, uuid.Nil, fmt.Errorf("cursor of a page: %w", err)
	}
	return time.UnixMicro(n), after, nil
}

func taskChanged(record *write.Record, kind string, t *db.Ticket, row *db.Task) *ticketv1.Task {
	record.Emit(taskEvent(kind, t, row, row.UpdateTime))
	out := taskProto(row)
	record.Audit("task", row.ID, out)
	return out
}

func taskEvent(kind string, t *db.Ticket, row *db.Task, at time.Time) event.Event {
	return event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: idValue(t.CustomerID), OccurTime: at,
		Payload: &ticketv1.TaskChanged{
			TicketId: t.ID.String(), TicketNumber: t.Number, DepartmentId: row.DepartmentID.String(),
			OwnerStaffId: idString(row.OwnerStaffID), Required: row.Required, DueTime: timestamppb.New(row.DueTime),
			State: ticketv1.TaskState(row.State), Kind: ticketv1.TaskKind(row.Kind),
		},
	}
}

func insertTask(row *db.Task) db.InsertTaskParams {
	return db.InsertTaskParams{
		ID: row.ID, TicketID: row.TicketID, Title: row.Title, DepartmentID: row.DepartmentID, OwnerStaffID: row.OwnerStaffID,
		Required: row.Required, DueTime: row.DueTime, CreateTime: row.CreateTime, Kind: row.Kind,
		ToldDueTime: row.ToldDueTime,
	}
}

func endTask(row *db.Task) db.EndTaskParams {
	return db.EndTaskParams{ID: row.ID, State: row.State, Result: row.Result, EndTime: *row.EndTime, Version: row.Version}
}

func taskProtos(rows []db.Task) []*ticketv1.Task {
	out := make([]*ticketv1.Task, len(rows))
	for i := range rows {
		out[i] = taskProto(&rows[i])
	}
	return out
}

func taskProto(row *db.Task) *ticketv1.Task {
	return &ticketv1.Task{
		Id: row.ID.String(), TicketId: row.TicketID.String(), Title: row.Title, DepartmentId: row.DepartmentID.String(),
		OwnerStaffId: idString(row.OwnerStaffID), Required: row.Required, DueTime: timestamppb.New(row.DueTime),
		State: ticketv1.TaskState(row.State), Result: row.Result, EndTime: stamp(row.EndTime),
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
		Kind: ticketv1.TaskKind(row.Kind),
	}
}
