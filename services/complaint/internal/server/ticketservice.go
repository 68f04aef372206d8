package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// SeedCalendars makes sure that deadlines can be measured before service-ticket has told of
// its calendars: the built-in ones stand in until their events come.
func (s *Server) SeedCalendars(ctx context.Context) error { return calendar.Seed(ctx, s.pool) }

// HandleTicketService keeps the copies of what service-ticket owns, the directory and the
// calendars, and gives clocks that wait for the head of a department to the new one. A
// calendar that changed moves the open clocks with the next sweep.
func (s *Server) HandleTicketService(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	if err := directory.Handle(ctx, tx, e); err != nil {
		return err
	}
	if e.GetType() == directory.TypeDepartment {
		return s.headed(ctx, tx, e)
	}
	return calendar.Handle(ctx, tx, e)
}

func (s *Server) headed(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	departmentID, err := uuid.Parse(e.GetSubjectId())
	if err != nil {
		return fmt.Errorf("id of a department: %w", err)
	}
	rows, err := s.q.LockComplaintsOf(ctx, tx, &departmentID, int16(complaint.Reviewed))
	if err != nil {
		return fmt.Errorf("find complaints of a department: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	return write.Effect(ctx, s.write, tx, e, func(ctx context.Context, tx *write.Tx) error {
		changed := false
		for i := range rows {
			if !clocked(&rows[i]) {
				continue
			}
			k, err := s.course(ctx, tx, &rows[i], &db.ComplaintRound{})
			if err != nil {
				return err
			}
			act := clock.Act{At: s.now(), Reason: reasonHead}
			moved, err := k.handOver(ctx, tx, act, keptBy(complaint.RoleHead))
			if err != nil {
				return fmt.Errorf("clocks of complaint %s: %w", rows[i].ID, err)
			}
			if moved {
				changed = true
				tx.AuditOf(value(rows[i].CustomerID), kind, rows[i].ID, map[string]any{"clocks": reasonHead})
			}
		}
		if !changed {
			tx.Unchanged()
		}
		return nil
	})
}
