package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
)

// The states of a run, as they are stored.
const (
	runPending  = int16(customerv1.TierRunState_TIER_RUN_STATE_PENDING)
	runPreview  = int16(customerv1.TierRunState_TIER_RUN_STATE_PREVIEW)
	runApplying = int16(customerv1.TierRunState_TIER_RUN_STATE_APPLYING)
)

// CreateTierRun begins a run; the worker computes it.
func (s *Server) CreateTierRun(ctx context.Context, req *customerv1.CreateTierRunRequest) (*customerv1.TierRun, error) {
	author, err := person(ctx)
	if err != nil {
		return nil, err
	}
	model, err := s.modelOf(ctx, req.GetTierRun().GetTierModelId())
	if err != nil {
		return nil, err
	}
	now := s.now()
	asOf := now
	if given := req.GetTierRun().GetAsOfTime(); given != nil {
		asOf = micro(given.AsTime())
	}
	if asOf.After(now) {
		return nil, rpcerr.Invalid("tier_run.as_of_time", customer.CreateTime(asOf, now).Text)
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.TierRun, error) {
		row, err := s.insertRun(ctx, tx, model, asOf, nil, author)
		if err != nil {
			return nil, err
		}
		return runProto(row, model.GetVersion()), nil
	})
	s.tiers.wake()
	return out, err
}

// modelOf is the model of that id, or without one that in effect.
func (s *Server) modelOf(ctx context.Context, given string) (*customerv1.TierModel, error) {
	if given == "" {
		return tierModels.inEffect(ctx, s, s.pool, s.now())
	}
	id, err := parseID("tier_run.tier_model_id", given)
	if err != nil {
		return nil, err
	}
	return tierModels.get(ctx, s, s.pool, id)
}

// insertRun stores a run that is to be computed; nil when the schedule has one already.
func (s *Server) insertRun(ctx context.Context, tx *write.Tx, model *customerv1.TierModel, asOf time.Time, schedule *string, author string) (*db.TierRun, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	modelID, err := uuid.Parse(model.GetId())
	if err != nil {
		return nil, fmt.Errorf("id of the tier model: %w", err)
	}
	row := &db.TierRun{
		ID: id, ModelID: modelID, AsOfTime: asOf, State: runPending, Schedule: schedule, Author: author,
		CreateTime: s.now(), Revision: 1, BeforeCounts: make([]int64, 4), AfterCounts: make([]int64, 4),
	}
	stored, err := s.q.InsertTierRun(ctx, tx, db.InsertTierRunParams{
		ID: id, ModelID: modelID, AsOfTime: asOf, Schedule: schedule, Author: author, CreateTime: row.CreateTime,
	})
	if err != nil {
		return nil, fmt.Errorf("insert tier run: %w", err)
	}
	if stored == 0 {
		tx.Unchanged()
		return nil, nil
	}
	tx.Audit("tier_run", id, runProto(row, model.GetVersion()))
	return row, nil
}

func runProto(row *db.TierRun, version int64) *customerv1.TierRun {
	out := &customerv1.TierRun{
		Id: row.ID.String(), TierModelId: row.ModelID.String(), ModelVersion: version, AsOfTime: timestamppb.New(row.AsOfTime),
		State: customerv1.TierRunState(row.State), Scored: row.Scored, Moves: row.Moves, Moved: row.Moved,
		OrdersLeftOut: row.OrdersLeftOut, Schedule: text(row.Schedule), Author: row.Author, Applier: text(row.Applier),
		CreateTime: timestamppb.New(row.CreateTime), ApplyTime: stampPtr(row.ApplyTime), Etag: etag(row.Revision),
	}
	if row.State == runPending {
		return out
	}
	for i := len(row.BeforeCounts) - 1; i >= 0; i-- {
		out.Tiers = append(out.Tiers, &customerv1.TierCount{Tier: typev1.Tier(i + 1), Before: row.BeforeCounts[i], After: row.AfterCounts[i]})
	}
	return out
}

// run completes a row to its run.
func (s *Server) run(ctx context.Context, on pg.DBTX, row *db.TierRun) (*customerv1.TierRun, *customerv1.TierModel, error) {
	model, err := tierModels.get(ctx, s, on, row.ModelID)
	if err != nil {
		return nil, nil, err
	}
	return runProto(row, model.GetVersion()), model, nil
}

func missingRun(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound("tier run", id.String())
	}
	return fmt.Errorf("read tier run: %w", err)
}

// GetTierRun returns a run.
func (s *Server) GetTierRun(ctx context.Context, req *customerv1.GetTierRunRequest) (*customerv1.TierRun, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetTierRun(ctx, s.pool, id)
	if err != nil {
		return nil, missingRun(err, id)
	}
	out, _, err := s.run(ctx, s.pool, &row)
	return out, err
}

// ListTierRuns lists the runs, newest first.
func (s *Server) ListTierRuns(ctx context.Context, req *customerv1.ListTierRunsRequest) (*customerv1.ListTierRunsResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListTierRuns(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list tier runs: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.TierRun) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListTierRunsResponse{NextPageToken: next}
	for i := range rows {
		run, _, err := s.run(ctx, s.pool, &rows[i])
		if err != nil {
			return nil, err
		}
		out.TierRuns = append(out.TierRuns, run)
	}
	return out, nil
}

// ListTierMoves lists who moves in a run.
func (s *Server) ListTierMoves(ctx context.Context, req *customerv1.ListTierMovesRequest) (*customerv1.ListTierMovesResponse, error) {
	id, err := parseID("tier_run_id", req.GetTierRunId())
	if err != nil {
		return nil, err
	}
	run, err := s.q.GetTierRun(ctx, s.pool, id)
	if err != nil {
		return nil, missingRun(err, id)
	}
	_, model, err := s.run(ctx, s.pool, &run)
	if err != nil {
		return nil, err
	}
	after, err := s.idCursor(ctx, req, req.GetPageToken(), uuid.Nil)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListTierMoves(ctx, s.pool, id, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list tier moves: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.ListTierMovesRow) string { return r.CustomerID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListTierMovesResponse{NextPageToken: next}
	for i := range rows {
		r := &rows[i]
		move := &customerv1.TierMove{
			CustomerId: r.CustomerID.String(), Number: r.Number, From: typev1.Tier(r.FromTier), To: typev1.Tier(r.ToTier),
			Reason: customerv1.TierReason(r.Reason), Score: scoreProto(model, r.Score, r.Tier, r.Measures, r.Ranks),
		}
		strategic := move.GetReason() == customerv1.TierReason_TIER_REASON_STRATEGIC
		move.KeyReason = tier.Key(move.GetTo(), strategic, move.GetScore().GetParts())
		out.TierMoves = append(out.TierMoves, move)
	}
	return out, nil
}

func scoreProto(model *customerv1.TierModel, value float64, of int16, measures, ranks []float64) *customerv1.Score {
	out := &customerv1.Score{Value: value, Tier: typev1.Tier(of)}
	weights := tier.Weights(model.GetWeights())
	for i, name := range tier.Measures() {
		out.Parts = append(out.Parts, &customerv1.ScorePart{Measure: name, Value: measures[i], Rank: ranks[i], Weight: weights[i]})
	}
	return out
}

// ApplyTierRun begins to move the customers of a run; the worker moves them.
func (s *Server) ApplyTierRun(ctx context.Context, req *customerv1.ApplyTierRunRequest) (*customerv1.TierRun, error) {
	id, err := decided(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.TierRun, error) {
		row, err := s.q.LockTierRun(ctx, tx, id)
		if err != nil {
			return nil, missingRun(err, id)
		}
		if err := s.applicable(ctx, tx, &row, req.GetEtag()); err != nil {
			return nil, err
		}
		applier := authn.FromContext(ctx).Actor()
		if err := s.q.BeginTierRun(ctx, tx, applier, id); err != nil {
			if pg.Violates(err, "tier_runs_applying_key") {
				return nil, otherRun(id)
			}
			return nil, fmt.Errorf("begin to apply tier run: %w", err)
		}
		row.State, row.Applier, row.Revision = runApplying, &applier, row.Revision+1
		out, _, err := s.run(ctx, tx, &row)
		tx.Audit("tier_run", id, out)
		return out, err
	})
	s.tiers.wake()
	return out, err
}

// applicable refuses to apply a run by whom or when it may not be.
func (s *Server) applicable(ctx context.Context, tx *write.Tx, row *db.TierRun, given string) error {
	if err := authz.SecondPerson(ctx, row.Author); err != nil {
		return err
	}
	if err := current(given, row.Revision, "tier run", row.ID); err != nil {
		return err
	}
	if row.State != runPreview {
		return rpcerr.WrongState("TIER_RUN_WRONG_STATE", rpcerr.T(
			"The tier run %[1]s is %[2]s; one is applied when it is computed and was not applied before.",
			"分级计算 %[1]s 的状态为 %[2]s；只有已完成计算且尚未应用的才能应用。", row.ID, customerv1.TierRunState(row.State)))
	}
	last, err := s.q.LastAppliedTierRun(ctx, tx)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the last applied tier run: %w", err)
	}
	if last.String() > row.ID.String() {
		return rpcerr.WrongState("TIER_RUN_OVERTAKEN", rpcerr.T(
			"The later tier run %[2]s was applied already, so %[1]s would take customers back; begin a new run.",
			"较新的分级计算 %[2]s 已应用，应用 %[1]s 会使客户等级倒退；请新建一次计算。", row.ID, last))
	}
	if other, err := s.q.ApplyingTierRun(ctx, tx); err == nil {
		return otherRun(other)
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("look for a tier run that is being applied: %w", err)
	}
	return nil
}

func otherRun(id uuid.UUID) *rpcerr.Error {
	return rpcerr.WrongState("TIER_RUN_WRONG_STATE", rpcerr.T(
		"A tier run is being applied; wait until it has ended and look at this one again: %[1]s.",
		"已有分级计算正在应用；请等待其完成后再查看：%[1]s。", id))
}
