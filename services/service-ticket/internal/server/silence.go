package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	// silenceBatch bounds the tickets of one transaction.
	silenceBatch = 100
	silenceEvery = 30 * time.Second
)

// CloseSilent closes, until ctx ends, the tickets on which the customer was silent too
// long. Every replica runs it: what one holds the others pass over. A failure is told and
// tried again at the next round.
func (s *Server) CloseSilent(ctx context.Context) error {
	return s.every(ctx, silenceEvery, "closing of silent tickets", s.SweepSilent)
}

// every does something now and after each period until ctx ends. A failure is told and
// tried again at the next round.
func (s *Server) every(ctx context.Context, period time.Duration, what string, do func(context.Context) error) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, what+" failed", "error", pg.Describe(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// SweepSilent closes all tickets on which the customer was silent too long by now.
func (s *Server) SweepSilent(ctx context.Context) error {
	for done := silenceBatch; done == silenceBatch; {
		err := write.Job(ctx, s.write, "tickets/close-silent", func(ctx context.Context, tx *write.Tx) error {
			due, err := s.q.LockUnconfirmed(ctx, tx, s.now(), silenceBatch)
			if err != nil {
				return fmt.Errorf("find silent tickets: %w", err)
			}
			if done = len(due); done == 0 {
				tx.Unchanged()
			}
			for i := range due {
				if err := s.silent(ctx, tx, &due[i].Ticket, typev1.Tier(due[i].Tier)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// silent closes one ticket, or asks for a call to a key customer, once.
func (s *Server) silent(ctx context.Context, tx *write.Tx, row *db.Ticket, tier typev1.Tier) error {
	hours := s.policy.ConfirmAfter.Hours()
	if tier == typev1.Tier_TIER_KEY {
		row.ConfirmDue = nil
		_, err := s.comment(ctx, tx, row, fmt.Sprintf(
			"关键客户 %[1]g 小时内未确认解决结果，请致电客户。\nNo answer from this key customer in %[1]g h: call them.", hours), false)
		if err != nil {
			return err
		}
		return s.callBack(ctx, tx, row)
	}
	return s.apply(ctx, tx, row, ticket.Move{Verb: ticket.Close, At: s.now()}, fmt.Sprintf(
		"客户 %[1]g 小时内未答复 · no answer from the customer in %[1]g h", hours))
}

// callBack asks whoever worked on a ticket to call the customer.
func (s *Server) callBack(ctx context.Context, tx *write.Tx, t *db.Ticket) error {
	department, err := s.openDepartment(ctx, tx, idValue(t.DepartmentID))
	if err != nil || department == uuid.Nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	now := s.now()
	row := &db.Task{
		ID: id, TicketID: t.ID, Title: "回访 · Call back: " + t.Number, DepartmentID: department, OwnerStaffID: t.AssigneeStaffID,
		DueTime: now.Add(s.policy.CallBackWithin), State: int16(ticketv1.TaskState_TASK_STATE_OPEN), CreateTime: now, UpdateTime: now, Version: 1,
		Kind: int16(ticketv1.TaskKind_TASK_KIND_CALL_BACK),
	}
	if err := s.q.InsertTask(ctx, tx, insertTask(row)); err != nil {
		return fmt.Errorf("ask for a call-back: %w", err)
	}
	taskChanged(&tx.Record, "task.created.v1", t, row)
	return nil
}
