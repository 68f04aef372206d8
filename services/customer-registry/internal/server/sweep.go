package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
)

const (
	sweepEvery = 30 * time.Second
	sweepBatch = 100
)

// SweepTiers ends overrides whose time has come, every 30 s until ctx ends. It
// may run in every replica: each takes rows that no other holds.
func (s *Server) SweepTiers(ctx context.Context) error {
	return s.every(ctx, sweepEvery, "sweep of ended tiers", s.EndTiers)
}

// every does something now and each time the interval has passed, until ctx ends.
func (s *Server) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, what+" failed; the next one tries again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// EndTiers returns every customer whose override ended to the tier that marks and score come
// to, with event and audit record as this service.
func (s *Server) EndTiers(ctx context.Context) error {
	for {
		ended, err := s.endTiers(ctx)
		if err != nil || ended < sweepBatch {
			return err
		}
	}
}

func (s *Server) endTiers(ctx context.Context) (ended int, err error) {
	now := s.now()
	err = write.Job(ctx, s.write, "end-tiers", func(ctx context.Context, tx *write.Tx) error {
		rows, err := s.q.LockEndedTiers(ctx, tx, &now, sweepBatch)
		if err != nil {
			return fmt.Errorf("find ended tiers: %w", err)
		}
		ended = len(rows)
		if ended == 0 {
			tx.Unchanged()
			return nil
		}
		ids := make([]uuid.UUID, len(rows))
		for i := range rows {
			ids[i] = rows[i].ID
		}
		marks, err := s.marksOf(ctx, tx, ids, nil)
		if err != nil {
			return err
		}
		moved := make([]tierMove, len(rows))
		for i := range rows {
			row := &rows[i]
			m := marks[row.ID]
			was := position(row, m)
			to, reason := m.Tier()
			row.Tier, row.TierReason, row.TierEndTime = int16(to), "", nil
			if err := s.storeTier(ctx, tx, row, was.Tier, reason, nil, event.Event{OccurTime: *was.EndTime}); err != nil {
				return err
			}
			tx.Audit("customer", row.ID, map[string]any{"tier": row.Tier, "tier_end_time": *was.EndTime})
			moved[i] = tierMove{was, row, m}
		}
		return s.keepMoves(ctx, tx, moved, s.origin(ctx, customerv1.ValueSource_VALUE_SOURCE_UNSPECIFIED))
	})
	return ended, err
}
