package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

const (
	takeOversEvery = 30 * time.Second
	// takeOverReason stands where a substitution says none.
	takeOverReason = "代理开始 · the substitution begins"
)

// WatchTakeOvers hands over, until ctx ends, what is in the hands of those for whom a
// substitution begins that says so. Every replica runs it: what one has moved no other finds.
func (s *Server) WatchTakeOvers(ctx context.Context) error {
	return s.every(ctx, takeOversEvery, "take-over by substitutes", s.SweepTakeOvers)
}

// SweepTakeOvers hands over once for each substitution that runs by now. One that was broken off
// goes on at the next look.
func (s *Server) SweepTakeOvers(ctx context.Context) error {
	rows, err := s.q.ListTakeOversDue(ctx, s.pool, s.now())
	if err != nil {
		return fmt.Errorf("find substitutions that begin: %w", err)
	}
	var failed []error
	for i := range rows {
		// One that fails keeps no other waiting.
		failed = append(failed, s.takeOver(ctx, &rows[i]))
	}
	return errors.Join(failed...)
}

func (s *Server) takeOver(ctx context.Context, row *db.Substitution) error {
	from, err := s.q.GetStaff(ctx, s.pool, row.StaffID)
	if err != nil {
		return fmt.Errorf("read staff: %w", err)
	}
	h := &handover{from: from, reason: row.Reason, byItself: true}
	if h.reason == "" {
		h.reason = takeOverReason
	}
	var left []uuid.UUID
	for {
		things, err := s.inHands(ctx, from.ID, left)
		if err != nil {
			return err
		}
		if len(things) == 0 {
			return s.markTakenOver(ctx, row)
		}
		for i := range things {
			done, err := s.takeOverOne(ctx, h, &things[i])
			if err != nil {
				return err
			}
			if !done {
				left = append(left, things[i].id())
			}
		}
	}
}

// takeOverOne hands over one thing; false where it goes none of the ways. What another replica, or
// somebody by a call, has handed over meanwhile is not left.
func (s *Server) takeOverOne(ctx context.Context, h *handover, t *thing) (bool, error) {
	err := write.Job(ctx, s.write, "substitutions/take-over", func(ctx context.Context, tx *write.Tx) error {
		held, err := s.holdThing(ctx, tx, h, t.item())
		if err != nil {
			return err
		}
		_, err = s.handOver(ctx, tx, h, held)
		return err
	})
	var public *rpcerr.Error
	var refused turnedDown
	switch {
	case errors.As(err, &public):
		return public.Reason() == organisation.ReasonNotInHands, nil
	case errors.As(err, &refused):
		return false, nil
	}
	return err == nil, err
}

func (s *Server) markTakenOver(ctx context.Context, row *db.Substitution) error {
	return write.Job(ctx, s.write, "substitutions/taken-over", func(ctx context.Context, tx *write.Tx) error {
		now := s.now()
		n, err := s.q.MarkTakenOver(ctx, tx, now, row.ID)
		if err != nil {
			return fmt.Errorf("keep that it was taken over: %w", err)
		}
		if n == 0 {
			tx.Unchanged()
			return nil
		}
		left, err := s.q.CountInHands(ctx, tx, row.StaffID)
		if err != nil {
			return fmt.Errorf("count what is left in somebody's hands: %w", err)
		}
		if left > 0 {
			s.log.WarnContext(ctx, "nobody could take over some work", "staff", row.StaffID, "left", left)
		}
		tx.Audit("substitution", row.ID, map[string]any{"take_over_time": now, "left": left})
		return nil
	})
}
