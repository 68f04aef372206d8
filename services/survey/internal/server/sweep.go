package server

import (
	"context"
	"fmt"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

const (
	sweepEvery = time.Minute
	// sweepStep bounds one transaction of the sweep.
	sweepStep = 200

	foldEvery = time.Second
	// foldStep bounds the answers and invitations of one fold.
	foldStep = 2000
)

// Sweep settles overdue invitations now and then until ctx ends. Any number of replicas
// may run it. Readers do not depend on it: to them an overdue invitation is expired at once.
func (s *Server) Sweep(ctx context.Context) error {
	return s.repeat(ctx, sweepEvery, "settling overdue invitations failed", s.ExpireInvitations)
}

// Fold moves new invitations and answers into the counts now and then until ctx ends. Any
// number of replicas may run it. Results do not depend on it, only how fast they are read.
func (s *Server) Fold(ctx context.Context) error {
	return s.repeat(ctx, foldEvery, "folding counts failed", s.FoldCounts)
}

// repeat does the work at once and then at each tick until ctx ends. A failure is told, and
// the next tick tries again.
func (s *Server) repeat(ctx context.Context, every time.Duration, failed string, work func(ctx context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, failed, "error", pg.Describe(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// FoldCounts counts what is uncounted now. It derives figures from what is recorded already
// and therefore leaves no event and no audit record.
func (s *Server) FoldCounts(ctx context.Context) error {
	for {
		folded, err := s.queries.FoldCounts(ctx, s.pool, foldStep)
		if err != nil {
			return fmt.Errorf("fold counts: %w", err)
		}
		if !folded {
			return nil
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

// expire settles a locked invitation that is overdue. What was filled in until then is kept as a
// partial answer.
func (s *Server) expire(ctx context.Context, tx *write.Tx, row db.Invitation) error {
	f, err := s.openForm(ctx, tx, row)
	if err != nil {
		return err
	}
	// It is partial even where nothing lacks: the customer did not say that it is all.
	if kept, _, _ := f.complete(); len(kept) > 0 {
		_, err := s.keep(ctx, tx, f, kept, entry{channel: surveyv1.AnswerChannel_ANSWER_CHANNEL_LINK, at: *f.saveTime, partial: true})
		if err != nil {
			return fmt.Errorf("keep a partial answer: %w", err)
		}
		return nil
	}
	return s.lapse(ctx, tx, row)
}

// lapse settles a locked invitation that is overdue, without what was filled in.
func (s *Server) lapse(ctx context.Context, tx *write.Tx, row db.Invitation) error {
	row, err := s.end(ctx, tx, row, invitation.Expired, "", nil)
	if err != nil {
		return err
	}
	recordInvitation(tx, "invitation.expired.v1", row, "")
	return nil
}
