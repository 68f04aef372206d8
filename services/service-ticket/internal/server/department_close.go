package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// openDepartment gives the department that does by now what one did, zero for none.
func (s *Server) openDepartment(ctx context.Context, on db.DBTX, id uuid.UUID) (uuid.UUID, error) {
	if id == uuid.Nil {
		return uuid.Nil, nil
	}
	open, err := s.q.OpenDepartment(ctx, on, id)
	if err != nil {
		return uuid.Nil, fmt.Errorf("find who does the work of a department: %w", err)
	}
	return idValue(open), nil
}

// closing is a department on its way out, and where what hangs on it goes.
type closing struct {
	s       *Server
	tx      *write.Tx
	row     *db.Department
	to      uuid.UUID
	parents map[uuid.UUID]uuid.UUID
	reason  string
	at      time.Time
}

// CloseDepartment closes a department that is no more.
func (s *Server) CloseDepartment(ctx context.Context, req *ticketv1.CloseDepartmentRequest) (*ticketv1.Department, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	to, err := parseOptional("successor_id", req.GetSuccessorId())
	if err != nil {
		return nil, err
	}
	if err := department.CheckSuccessor(id, to); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Department, error) {
		row, tree, err := s.holdWhole(ctx, tx, id, req.GetEtag(), false)
		if err != nil {
			return nil, err
		}
		c := &closing{s: s, tx: tx, row: row, to: to, parents: parents(tree), reason: req.GetReason(), at: s.now()}
		if err := c.check(ctx); err != nil {
			return nil, err
		}
		row.CloseTime, row.SuccessorID = &c.at, idPtr(to)
		if to != uuid.Nil {
			if err := c.move(ctx); err != nil {
				return nil, err
			}
		}
		return s.storeClosed(ctx, tx, row, c.at)
	})
}

// holdWhole holds a department, with all others after it, so that nothing comes to it meanwhile
// and nobody changes the tree.
func (s *Server) holdWhole(ctx context.Context, tx *write.Tx, id uuid.UUID, etag string, closed bool) (*db.Department, []db.LockDepartmentTreeRow, error) {
	row, err := s.q.LockDepartmentWhole(ctx, tx, id)
	if err != nil {
		return nil, nil, missing(err, "department", id)
	}
	if err := current(etag, row.Version, "department", id); err != nil {
		return nil, nil, err
	}
	if err := department.CheckState(id, row.CloseTime != nil, closed); err != nil {
		return nil, nil, err
	}
	tree, err := s.q.LockDepartmentTree(ctx, tx)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the departments: %w", err)
	}
	return &row, tree, nil
}

// storeClosed writes that a held department was closed or reopened.
func (s *Server) storeClosed(ctx context.Context, tx *write.Tx, row *db.Department, at time.Time) (*ticketv1.Department, error) {
	row.UpdateTime, row.Version = at, row.Version+1
	if err := s.q.CloseDepartment(ctx, tx, db.CloseDepartmentParams{
		ID: row.ID, ParentID: row.ParentID, CloseTime: row.CloseTime, SuccessorID: row.SuccessorID, UpdateTime: row.UpdateTime, Version: row.Version,
	}); err != nil {
		return nil, fmt.Errorf("close or reopen department: %w", err)
	}
	return departmentChanged(&tx.Record, row), nil
}

// check refuses a successor that takes nothing over, and what would be left without a home.
func (c *closing) check(ctx context.Context) error {
	if c.to != uuid.Nil {
		to, err := c.s.q.GetDepartment(ctx, c.tx, c.to)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && to.CloseTime != nil {
			return unknownDepartment("successor_id", c.to)
		}
		if err != nil {
			return fmt.Errorf("read department: %w", err)
		}
	}
	n, err := c.s.q.CountDepartmentUse(ctx, c.tx, c.row.ID, c.at)
	if err != nil {
		return fmt.Errorf("count what hangs on a department: %w", err)
	}
	return department.CheckClose(c.row.ID, department.Use{
		Members: n.Members, Below: n.Below, Tickets: n.Tickets, Waiting: n.Waiting, Tasks: n.Tasks, Routes: n.Routes,
		Hotlines: n.Hotlines, Rosters: n.Rosters, Shifts: n.Shifts, Stations: n.Stations, CannedAnswers: n.Answers,
	}, c.to != uuid.Nil)
}

// move gives what hangs on the department to its successor.
func (c *closing) move(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(ctx context.Context) error
	}{
		{"members", c.moveStaff}, {"departments below", c.moveBelow}, {"tickets", c.moveTickets}, {"sub-tasks", c.moveTasks},
		{"routes", c.moveRoutes}, {"rosters", c.moveRosters}, {"stations", c.moveStations}, {"canned answers", c.moveAnswers},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("move %s to the successor: %w", step.what, err)
		}
	}
	return nil
}

func (c *closing) moveStaff(ctx context.Context) error {
	rows, err := c.s.q.MoveDepartmentStaff(ctx, c.tx, c.to, c.at, c.row.ID)
	for i := range rows {
		staffChanged(&c.tx.Record, &rows[i])
	}
	return err
}

func (c *closing) moveBelow(ctx context.Context) error {
	rows, err := c.s.q.ListDepartmentsBelow(ctx, c.tx, &c.row.ID)
	if err != nil {
		return err
	}
	for i := range rows {
		row := &rows[i]
		row.ParentID = idPtr(department.Above(row.ID, c.row.ID, c.to, c.parents))
		if _, err := c.s.storeClosed(ctx, c.tx, row, c.at); err != nil {
			return err
		}
	}
	return nil
}

func (c *closing) moveTickets(ctx context.Context) error {
	rows, err := c.s.q.LockTicketsOfDepartment(ctx, c.tx, &c.row.ID)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := c.s.apply(ctx, c.tx, &rows[i], ticket.Move{Verb: ticket.Rehome, At: c.at, Department: c.to}, c.reason); err != nil {
			return err
		}
	}
	return nil
}

func (c *closing) moveTasks(ctx context.Context) error {
	rows, err := c.s.q.MoveDepartmentTasks(ctx, c.tx, c.to, c.at, c.row.ID)
	if err != nil {
		return err
	}
	for i := range rows {
		t, err := c.s.q.GetTicket(ctx, c.tx, rows[i].TicketID)
		if err != nil {
			return err
		}
		taskChanged(&c.tx.Record, "task.reassigned.v1", &t, &rows[i])
	}
	return nil
}

func (c *closing) moveRoutes(ctx context.Context) error {
	rows, err := c.s.q.MoveDepartmentRoutes(ctx, c.tx, c.to, c.at, c.row.ID)
	for i := range rows {
		c.tx.Audit("route", rows[i].ID, routeProto(&rows[i]))
	}
	return err
}

func (c *closing) moveRosters(ctx context.Context) error {
	rows, err := c.s.q.MoveDepartmentRosters(ctx, c.tx, &c.to, c.at, &c.row.ID)
	for i := range rows {
		c.tx.Audit("duty-roster", rows[i].ID, rosterProto(&rows[i]))
	}
	return err
}

func (c *closing) moveStations(ctx context.Context) error {
	rows, err := c.s.q.MoveDepartmentStations(ctx, c.tx, &c.to, c.at, &c.row.ID)
	for i := range rows {
		stationChanged(&c.tx.Record, &rows[i])
	}
	return err
}

func (c *closing) moveAnswers(ctx context.Context) error {
	rows, err := c.s.q.MoveDepartmentAnswers(ctx, c.tx, &c.to, c.at, &c.row.ID)
	for i := range rows {
		c.tx.Audit("canned-answer", rows[i].ID, cannedProto(&rows[i]))
	}
	return err
}

// ReopenDepartment opens a closed department again.
func (s *Server) ReopenDepartment(ctx context.Context, req *ticketv1.ReopenDepartmentRequest) (*ticketv1.Department, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Department, error) {
		row, tree, err := s.holdWhole(ctx, tx, id, req.GetEtag(), true)
		if err != nil {
			return nil, err
		}
		above, err := s.openDepartment(ctx, tx, idValue(row.ParentID))
		if err != nil {
			return nil, err
		}
		// Its own successor may stand there, or below it by now.
		if department.CheckParent(id, above, parents(tree)) != nil {
			above = uuid.Nil
		}
		row.CloseTime, row.SuccessorID, row.ParentID = nil, nil, idPtr(above)
		return s.storeClosed(ctx, tx, row, s.now())
	})
}
