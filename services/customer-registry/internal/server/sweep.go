package server

import (
	"context"
	"fmt"
	"time"

	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

const (
	sweepEvery = 30 * time.Second
	sweepBatch = 100
)

// SweepTiers ends overrides whose time has come, every 30 s until ctx ends. It
// may run in every replica: each takes rows that no other holds.
func (s *Server) SweepTiers(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.EndTiers(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweep of ended tiers failed; the next one tries again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// EndTiers returns every customer whose override ended to the tier of customers
// not scored, with event and audit record as this service.
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
		for i := range rows {
			row := &rows[i]
			end := *row.TierEndTime
			row.Tier, row.TierReason, row.TierEndTime = int16(customer.TierAfterOverride()), "", nil
			if err := s.storeTier(ctx, tx, row); err != nil {
				return err
			}
			emitCustomer(&tx.Record, customerref.TypeChanged, row, nil, event.Event{OccurTime: end})
			tx.Audit("customer", row.ID, map[string]any{"tier": row.Tier, "tier_end_time": end})
		}
		return nil
	})
	return ended, err
}
