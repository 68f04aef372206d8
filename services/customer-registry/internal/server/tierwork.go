package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
)

const (
	tierWorkEvery = 5 * time.Second
	tierStep      = 500
)

// worker is background work that calls can wake.
type worker struct{ signal chan struct{} }

func newWorker() worker { return worker{signal: make(chan struct{}, 1)} }

func (w worker) wake() {
	select {
	case w.signal <- struct{}{}:
	default: // it will look anyway
	}
}

// loop does work each time it is woken and at least once in every, until ctx ends. What
// fails is told and tried again.
func (s *Server) loop(ctx context.Context, w worker, every time.Duration, what string, work func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, what+" failed; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.signal:
		}
	}
}

// RunTiers makes the scheduled runs, computes runs and moves customers until ctx ends. It may
// run in every replica: each takes a run that no other holds.
func (s *Server) RunTiers(ctx context.Context) error {
	return s.loop(ctx, s.tiers, tierWorkEvery, "work on tier runs", s.WorkTiers)
}

// WorkTiers does what is to be done about runs now.
func (s *Server) WorkTiers(ctx context.Context) error {
	if err := s.scheduleRun(ctx); err != nil {
		return err
	}
	for {
		if more, err := s.stepTiers(ctx); err != nil || !more {
			return err
		}
	}
}

// scheduleRun makes the run of the present period, once in all replicas.
func (s *Server) scheduleRun(ctx context.Context) error {
	now := s.now()
	period := s.schedule.Period(now, s.disclosure.Zone)
	if period == "" {
		return nil
	}
	if done, err := s.q.TierRunScheduled(ctx, s.pool, period); err != nil || done {
		return err
	}
	model, err := tierModels.inEffect(ctx, s, s.pool, now)
	if err != nil {
		return err
	}
	return write.Job(ctx, s.write, "schedule-tier-run", func(ctx context.Context, tx *write.Tx) error {
		_, err := s.insertRun(ctx, tx, model, now, &period, authn.FromContext(ctx).Actor())
		return err
	})
}

// stepTiers computes one run or moves some customers of one, and tells whether there may be
// more to do.
func (s *Server) stepTiers(ctx context.Context) (more bool, err error) {
	err = write.Job(ctx, s.write, "tier-run", func(ctx context.Context, tx *write.Tx) error {
		more = false
		run, err := s.q.LockTierRunToWork(ctx, tx)
		if errors.Is(err, pgx.ErrNoRows) {
			tx.Unchanged()
			return nil
		}
		if err != nil {
			return fmt.Errorf("find a tier run to work on: %w", err)
		}
		more = true
		model, err := tierModels.get(ctx, s, tx, run.ModelID)
		if err != nil {
			return err
		}
		if run.State == runPending {
			return s.computeRun(ctx, tx, &run, model)
		}
		return s.moveSome(ctx, tx, &run)
	})
	return more, err
}

// computeRun scores all customers in one statement.
func (s *Server) computeRun(ctx context.Context, tx *write.Tx, run *db.TierRun, model *customerv1.TierModel) error {
	// A million customers take more than a call may, and sorting them more memory than a
	// query of a call. Everybody is joined to everything they bought: a planner that has not
	// counted the rows yet, as after a large import, would loop over them for each customer.
	if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '10min'; SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off`); err != nil {
		return fmt.Errorf("widen the limits for a tier run: %w", err)
	}
	window := tier.WindowOf(run.AsOfTime, s.disclosure.Zone)
	codes, rates := []string{model.GetCurrencyCode()}, []string{"1"}
	for _, r := range model.GetRates() {
		codes, rates = append(codes, r.GetCurrencyCode()), append(rates, r.GetRate())
	}
	w := tier.Weights(model.GetWeights())
	key, a, b := tier.Limits(model)
	err := s.q.ScoreCustomers(ctx, tx, db.ScoreCustomersParams{
		RunID: run.ID, Codes: codes, Rates: rates, AsOf: window.AsOf, YearStart: window.YearStart, YearBefore: window.YearBefore,
		W1: w[0], W2: w[1], W3: w[2], W4: w[3], W5: w[4], W6: w[5], W7: w[6], W8: w[7], KeyLimit: key, ALimit: a, BLimit: b,
	})
	if err != nil {
		return fmt.Errorf("score customers: %w", err)
	}
	if err := s.q.CountTierRun(ctx, tx, db.CountTierRunParams{ID: run.ID, YearBefore: window.YearBefore, AsOf: window.AsOf, Codes: codes}); err != nil {
		return fmt.Errorf("count the moves of a tier run: %w", err)
	}
	tx.Audit("tier_run", run.ID, map[string]any{"state": runPreview})
	return nil
}

// moveSome moves the next customers of a run that is being applied, and ends it after the last.
func (s *Server) moveSome(ctx context.Context, tx *write.Tx, run *db.TierRun) error {
	moves, err := s.q.ListTierMoves(ctx, tx, run.ID, run.AfterID, tierStep)
	if err != nil {
		return fmt.Errorf("read moves: %w", err)
	}
	tx.Audit("tier_run", run.ID, map[string]any{"after": run.AfterID, "moves": len(moves)})
	if len(moves) == 0 {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '10min'`); err != nil {
			return fmt.Errorf("widen the limits for a tier run: %w", err)
		}
		if err := s.q.EndTierRun(ctx, tx, s.now(), run.ID); err != nil {
			return fmt.Errorf("end tier run: %w", err)
		}
		return s.q.DeleteOldTierScores(ctx, tx)
	}
	ids := make([]uuid.UUID, len(moves))
	for i := range moves {
		ids[i] = moves[i].CustomerID
	}
	moved, err := s.settle(ctx, tx, ids, &run.ID)
	if err != nil {
		return err
	}
	if err := s.keepMovesOfRun(ctx, tx, run, moved); err != nil {
		return err
	}
	return s.q.AdvanceTierRun(ctx, tx, ids[len(ids)-1], int64(len(moved)), run.ID)
}

// keepMovesOfRun writes the moves of a run to the history, in the name of who applied it. What
// customers stood on before is the score of the run before.
func (s *Server) keepMovesOfRun(ctx context.Context, tx *write.Tx, run *db.TierRun, moved []tierMove) error {
	before := map[uuid.UUID]tier.Marks{}
	earlier, err := s.q.TierRunAppliedBefore(ctx, tx, run.ID)
	switch {
	case err == nil:
		ids := make([]uuid.UUID, len(moved))
		for i := range moved {
			ids[i] = moved[i].row.ID
		}
		if before, err = s.scoresOf(ctx, tx, ids, earlier); err != nil {
			return err
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("read the tier run before: %w", err)
	}
	for i := range moved {
		m := before[moved[i].row.ID]
		m.Strategic = moved[i].is.Strategic
		moved[i].was.Marks = m
	}
	return s.keepMoves(ctx, tx, moved, customer.Origin{Actor: text(run.Applier), Time: s.now()})
}

// tierMove is a customer who moved: where they stood, and the row and the marks they have now.
type tierMove struct {
	was tier.Position
	row *db.Customer
	is  tier.Marks
}

// position is where the customer of a row stands by its marks.
func position(row *db.Customer, by tier.Marks) tier.Position {
	return tier.Position{Tier: typev1.Tier(row.Tier), HandReason: row.TierReason, EndTime: row.TierEndTime, Marks: by}
}

// keepMoves writes moves to the history of their files, all in one statement.
func (s *Server) keepMoves(ctx context.Context, tx *write.Tx, moved []tierMove, by customer.Origin) error {
	ids := make([]uuid.UUID, len(moved))
	for i := range moved {
		ids[i] = moved[i].row.ID
	}
	keys, err := s.keys.Subjects(ctx, tx, ids...)
	if err != nil {
		return err
	}
	var h history
	for i := range moved {
		m := &moved[i]
		key := keys[m.row.ID]
		if key == nil {
			continue // erased while it was moved: nothing more is kept of them
		}
		if err := h.add(trail{key, m.row.ID, nil, m.row.Version}, tier.Moved(m.was, position(m.row, m.is))); err != nil {
			return err
		}
	}
	return s.keep(ctx, tx, &h, by)
}

// settle locks customers and moves each to the tier that its marks and its score in the run
// come to now, whatever a preview said before. It tells who moved; by what marks they stood
// where they were is for the caller to add.
func (s *Server) settle(ctx context.Context, tx *write.Tx, ids []uuid.UUID, run *uuid.UUID) (moved []tierMove, err error) {
	rows, err := s.q.LockMovingCustomers(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("lock customers to move: %w", err)
	}
	marks, err := s.marksOf(ctx, tx, ids, run)
	if err != nil {
		return nil, err
	}
	now := s.now()
	for i := range rows {
		row := &rows[i]
		m := marks[row.ID]
		if row.TierEndTime != nil && row.TierEndTime.After(now) {
			m.Held = typev1.Tier(row.Tier)
		}
		to, reason := m.Tier()
		if int16(to) == row.Tier && m.Held == 0 == (row.TierEndTime == nil) {
			continue
		}
		was := position(row, tier.Marks{})
		row.Tier = int16(to)
		if m.Held == 0 {
			row.TierReason, row.TierEndTime = "", nil
		}
		if err := s.storeTier(ctx, tx, row, was.Tier, reason, run, event.Event{OccurTime: now}); err != nil {
			return nil, err
		}
		tx.Audit("customer", row.ID, map[string]any{"tier": row.Tier, "reason": reason.String()})
		moved = append(moved, tierMove{was, row, marks[row.ID]})
	}
	return moved, nil
}

// marksOf reads what the tiers of customers come from, but for what was set by hand. Without a
// run the scores are those of the last applied one.
func (s *Server) marksOf(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, run *uuid.UUID) (map[uuid.UUID]tier.Marks, error) {
	out := map[uuid.UUID]tier.Marks{}
	strategic, err := s.q.ListStrategic(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read strategic marks: %w", err)
	}
	if run == nil {
		last, err := s.q.LastAppliedTierRun(ctx, tx)
		if err == nil {
			run = &last
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("read the last applied tier run: %w", err)
		}
	}
	if run != nil {
		if out, err = s.scoresOf(ctx, tx, ids, *run); err != nil {
			return nil, err
		}
	}
	for _, id := range strategic {
		m := out[id]
		m.Strategic = true
		out[id] = m
	}
	return out, nil
}

// scoresOf reads what a run scored customers with.
func (s *Server) scoresOf(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, run uuid.UUID) (map[uuid.UUID]tier.Marks, error) {
	of, err := s.q.GetTierRun(ctx, tx, run)
	if err != nil {
		return nil, fmt.Errorf("read tier run: %w", err)
	}
	model, err := tierModels.get(ctx, s, tx, of.ModelID)
	if err != nil {
		return nil, err
	}
	scores, err := s.q.ListTierScores(ctx, tx, run, ids)
	if err != nil {
		return nil, fmt.Errorf("read scores: %w", err)
	}
	out := make(map[uuid.UUID]tier.Marks, len(scores))
	for i := range scores {
		row := &scores[i]
		parts := scoreProto(model, row.Score, row.Tier, row.Measures, row.Ranks).GetParts()
		out[row.CustomerID] = tier.Marks{Scored: typev1.Tier(row.Tier), Parts: parts}
	}
	return out, nil
}
