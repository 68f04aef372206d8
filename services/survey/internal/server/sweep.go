package server

import (
	"context"
	"fmt"
	"time"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

const (
	sweepEvery = time.Minute
	// sweepStep bounds one transaction of the sweep.
	sweepStep = 200
)

// Sweep settles overdue invitations now and then until ctx ends. Any number of replicas
// may run it. Readers do not depend on it: to them an overdue invitation is expired at once.
func (s *Server) Sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.ExpireInvitations(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "overdue invitations were not settled", "error", pg.Describe(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ExpireInvitations settles all invitations that are overdue now, each with its event.
func (s *Server) ExpireInvitations(ctx context.Context) error {
	for {
		var found int
		err := write.Job(ctx, s.write, "expire-invitations", func(ctx context.Context, tx *write.Tx) error {
			rows, err := s.queries.LockOverdueInvitations(ctx, tx, s.now(), sweepStep)
			if err != nil {
				return fmt.Errorf("read overdue invitations: %w", err)
			}
			if found = len(rows); found == 0 {
				tx.Unchanged()
			}
			for _, row := range rows {
				if err := s.expire(ctx, tx, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || found < sweepStep {
			return err
		}
	}
}

// expire settles a locked invitation that is overdue.
func (s *Server) expire(ctx context.Context, tx *write.Tx, row db.Invitation) error {
	row, err := s.end(ctx, tx, row, invitation.Expired, "", nil)
	if err != nil {
		return err
	}
	recordInvitation(tx, "invitation.expired.v1", row, "")
	return nil
}
