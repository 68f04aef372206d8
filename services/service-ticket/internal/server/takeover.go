package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// thing is a ticket, or a sub-task with its ticket.
type thing struct {
	ticket *db.Ticket
	task   *db.Task
}

func (t *thing) id() uuid.UUID {
	if t.task != nil {
		return t.task.ID
	}
	return t.ticket.ID
}

func (t *thing) item() *ticketv1.HandoverItem {
	if t.task != nil {
		return &ticketv1.HandoverItem{Item: &ticketv1.HandoverItem_TaskId{TaskId: t.task.ID.String()}}
	}
	return &ticketv1.HandoverItem{Item: &ticketv1.HandoverItem_TicketId{TicketId: t.ticket.ID.String()}}
}

// result tells how it stands.
func (t *thing) result() *ticketv1.HandoverResult {
	out := &ticketv1.HandoverResult{
		TicketId: t.ticket.ID.String(), TicketNumber: t.ticket.Number, State: ticketv1.TicketState(t.ticket.State), Etag: etag(t.ticket.Version),
	}
	if t.task != nil {
		out.TaskId, out.Etag = t.task.ID.String(), etag(t.task.Version)
	}
	return out
}

// asks is the ticket as the rules of assignment are to see it, and its department.
func (s *Server) asks(ctx context.Context, on db.DBTX, t *thing) (*db.Ticket, uuid.UUID, error) {
	if t.task == nil {
		department, err := s.departmentFor(ctx, on, t.ticket)
		return t.ticket, department, err
	}
	row, kind := *t.ticket, ticketv1.TaskKind(t.task.Kind)
	row.Needs, row.AssigneeStaffID = ticket.TaskNeeds(kind, ticket.ParseNeeds(row.Needs)).String(), nil
	if kind != ticketv1.TaskKind_TASK_KIND_CALL_BACK {
		// The account manager talks with the customer, and does no other department's work.
		row.CustomerID = nil
	}
	return &row, t.task.DepartmentID, nil
}

// takeover is where something goes; to is nil for the queue.
type takeover struct {
	way        organisation.Way
	to         *db.Staff
	department uuid.UUID
}

// tell adds to a result where the thing goes, before it has gone there.
func (o *takeover) tell(result *ticketv1.HandoverResult, t *thing) {
	result.Way, result.DepartmentId = o.way, o.department.String()
	if o.to != nil {
		result.ToStaffId = o.to.ID.String()
	} else if t.task == nil {
		result.State = ticket.Triaged
	}
}

// takers find who takes something over: as they stand, or held in a write.
type takers struct {
	on    db.DBTX
	staff func(ctx context.Context, id uuid.UUID) (db.Staff, error)
	best  func(ctx context.Context, row *db.Ticket, department uuid.UUID) (*db.Staff, error)
}

// turnedDown are the public reasons why something goes none of the ways.
type turnedDown []error

func (t turnedDown) Error() string { return errors.Join(t...).Error() }

// taker is who takes something over, by the first way that it can go; the error says of each why
// it cannot.
func (s *Server) taker(ctx context.Context, h *handover, t *thing, by takers) (*takeover, error) {
	named, err := s.takerNamed(ctx, by.on, h)
	if err != nil {
		return nil, err
	}
	var refused turnedDown
	for _, way := range organisation.HandoverWays(h.way, named != uuid.Nil) {
		to, err := s.takerBy(ctx, way, named, t, by)
		var public *rpcerr.Error
		switch {
		case err == nil:
			return to, nil
		case !errors.As(err, &public):
			return nil, err
		}
		refused = append(refused, err)
	}
	return nil, refused
}

func (s *Server) takerBy(ctx context.Context, way organisation.Way, named uuid.UUID, t *thing, by takers) (*takeover, error) {
	verb := ticket.HandOver
	if way == ticketv1.HandoverWay_HANDOVER_WAY_QUEUE {
		verb = ticket.Release
	}
	if t.task == nil {
		if _, err := ticket.Next(ticket.State(t.ticket.State), verb); err != nil {
			return nil, err
		}
	}
	row, department, err := s.asks(ctx, by.on, t)
	if err != nil {
		return nil, err
	}
	out := &takeover{way: way, department: department}
	switch way {
	case ticketv1.HandoverWay_HANDOVER_WAY_QUEUE:
		return out, nil
	case ticketv1.HandoverWay_HANDOVER_WAY_RULES:
		if out.to, err = by.best(ctx, row, department); err == nil && out.to == nil {
			err = nobodyReady(department)
		}
	default:
		out.to, err = s.fit(ctx, named, row, by)
	}
	if err != nil {
		return nil, err
	}
	if t.task == nil {
		out.department = out.to.DepartmentID
	}
	return out, nil
}

// fit gives somebody who takes over by name, or says why they cannot.
func (s *Server) fit(ctx context.Context, id uuid.UUID, row *db.Ticket, by takers) (*db.Staff, error) {
	who, err := by.staff(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read staff: %w", err)
	}
	if err := notLeft(&who); err != nil {
		return nil, err
	}
	now := s.now()
	team, err := s.team(ctx, by.on, now, []db.Staff{who})
	if err != nil {
		return nil, err
	}
	_, dedicated, err := s.dedicated(ctx, by.on, row, now)
	if err != nil {
		return nil, err
	}
	p := team.person(&who, ticket.ParseNeeds(row.Needs))
	p.Dedicated = dedicated != nil && dedicated.ID == who.ID
	return &who, organisation.CheckTakeOver(&p)
}

// holdThing holds a ticket, or a sub-task with its ticket, that is in the hands of who hands over.
func (s *Server) holdThing(ctx context.Context, tx *write.Tx, h *handover, item *ticketv1.HandoverItem) (*thing, error) {
	if item.GetTaskId() != "" {
		return s.holdTask(ctx, tx, h, item)
	}
	id, err := parseID("ticket_id", item.GetTicketId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.LockTicket(ctx, tx, id)
	if err != nil {
		return nil, missing(err, "ticket", id)
	}
	if !h.byItself {
		if err := s.reach(ctx, tx, &row); err != nil {
			return nil, err
		}
	}
	if err := current(item.GetEtag(), row.Version, "ticket", id); err != nil {
		return nil, err
	}
	if idValue(row.AssigneeStaffID) != h.from.ID {
		return nil, organisation.NotInHands(row.Number, h.from.ID)
	}
	return &thing{ticket: &row}, nil
}

// holdTask holds a sub-task. Its ticket is held first, as by the moves that end its sub-tasks.
func (s *Server) holdTask(ctx context.Context, tx *write.Tx, h *handover, item *ticketv1.HandoverItem) (*thing, error) {
	id, err := parseID("task_id", item.GetTaskId())
	if err != nil {
		return nil, err
	}
	of, err := s.q.GetTask(ctx, tx, id)
	if err != nil {
		return nil, missing(err, "task", id)
	}
	row, err := s.q.LockTicket(ctx, tx, of.TicketID)
	if err != nil {
		return nil, fmt.Errorf("lock ticket: %w", err)
	}
	task, err := s.q.LockTask(ctx, tx, id)
	if err != nil {
		return nil, fmt.Errorf("lock task: %w", err)
	}
	if idValue(task.OwnerStaffID) != h.from.ID {
		return nil, s.notTheirs(ctx, tx, h, id, &row)
	}
	if task.TicketID != row.ID {
		// Its ticket was merged into another between the two reads.
		return nil, rpcerr.Stale("task", id.String())
	}
	if err := current(item.GetEtag(), task.Version, "task", id); err != nil {
		return nil, err
	}
	return &thing{ticket: &row, task: &task}, ticket.Reassignable(ticketv1.TaskState(task.State))
}

// notTheirs tells that a sub-task is in other hands, to those who may know that there is one.
func (s *Server) notTheirs(ctx context.Context, on db.DBTX, h *handover, id uuid.UUID, of *db.Ticket) error {
	if !h.byItself {
		covered, err := s.covers(ctx, on, authz.FromContext(ctx).Scope, of)
		if err != nil {
			return err
		}
		if !covered {
			return rpcerr.NotFound("task", id.String())
		}
	}
	return organisation.NotInHands(id.String(), h.from.ID)
}

// handOver gives a held thing to whoever takes it over: row, history, clocks, events, audit
// records, and a note on the ticket that says why.
func (s *Server) handOver(ctx context.Context, tx *write.Tx, h *handover, t *thing) (*ticketv1.HandoverResult, error) {
	to, err := s.taker(ctx, h, t, takers{
		on:    tx,
		staff: func(ctx context.Context, id uuid.UUID) (db.Staff, error) { return s.q.LockStaff(ctx, tx, id) },
		best: func(ctx context.Context, row *db.Ticket, department uuid.UUID) (*db.Staff, error) {
			return s.best(ctx, tx, row, department, h.from.ID)
		},
	})
	if err != nil {
		return nil, err
	}
	if t.task != nil {
		err = s.reassign(ctx, tx, h, t, to)
	} else {
		m := ticket.Move{Verb: ticket.Release, At: s.now(), Department: to.department}
		if to.to != nil {
			m.Verb, m.Assignee = ticket.HandOver, to.to.ID
		}
		err = s.apply(ctx, tx, t.ticket, m, h.reason)
	}
	if err != nil {
		return nil, err
	}
	if _, err := s.comment(ctx, tx, t.ticket, h.note(t, to), false); err != nil {
		return nil, err
	}
	result := t.result()
	to.tell(result, t)
	return result, nil
}

// reassign gives a held sub-task another owner, or none.
func (s *Server) reassign(ctx context.Context, tx *write.Tx, h *handover, t *thing, to *takeover) error {
	row := t.task
	row.OwnerStaffID, row.UpdateTime, row.Version = nil, s.now(), row.Version+1
	if to.to != nil {
		row.OwnerStaffID = &to.to.ID
	}
	if err := s.q.ReassignTask(ctx, tx.Soon(), db.ReassignTaskParams{
		ID: row.ID, OwnerStaffID: row.OwnerStaffID, UpdateTime: row.UpdateTime, Version: row.Version,
	}); err != nil {
		return err
	}
	tx.Emit(taskEvent("task.reassigned.v1", t.ticket, row, row.UpdateTime))
	tx.Audit("task", row.ID, map[string]any{"owner_staff_id": idString(row.OwnerStaffID), "from_staff_id": h.from.ID, "reason": h.reason})
	return nil
}

// note is what stands on the ticket.
func (h *handover) note(t *thing, to *takeover) string {
	whatZH, whatEN := "工单", "the ticket"
	if t.task != nil {
		whatZH, whatEN = "子任务“"+t.task.Title+"”", "the sub-task “"+t.task.Title+"”"
	}
	whereZH, whereEN := "退回部门待办", "back to the queue of the department"
	if to.to != nil {
		whereZH, whereEN = "转交 "+to.to.Name, "to "+to.to.Name
	}
	return fmt.Sprintf("工作交接：%[1]s由 %[2]s %[3]s。原因：%[4]s\nHanded over by %[2]s: %[5]s %[6]s. Reason: %[4]s",
		whatZH, h.from.Name, whereZH, strings.TrimSpace(h.reason), whatEN, whereEN)
}
