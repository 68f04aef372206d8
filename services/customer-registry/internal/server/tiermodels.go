package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
)

// tierModels are the versions of how customers are scored.
var tierModels = rules[*customerv1.TierModel]{
	kind: 2, name: "tier model",
	fill: func(m *customerv1.TierModel, row *db.RuleVersion) {
		m.Id, m.Version, m.State = row.ID.String(), row.Version, customerv1.VersionState(row.State)
		m.EffectiveTime, m.CreateTime = stampPtr(row.EffectiveTime), timestamppb.New(row.CreateTime)
		m.Author, m.Publisher, m.Etag = row.Author, text(row.Publisher), etag(row.Revision)
	},
}

// CreateTierModel makes a draft.
func (s *Server) CreateTierModel(ctx context.Context, req *customerv1.CreateTierModelRequest) (*customerv1.TierModel, error) {
	author, err := person(ctx)
	if err != nil {
		return nil, err
	}
	given := req.GetTierModel()
	if err := invalid("tier_model.", tier.Check(given)); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.TierModel, error) {
		row, err := tierModels.draft(ctx, s, tx, author, &customerv1.TierModel{
			Weights: given.GetWeights(), Limits: given.GetLimits(), CurrencyCode: given.GetCurrencyCode(),
			Rates: given.GetRates(), Plans: given.GetPlans(),
		})
		if err != nil {
			return nil, err
		}
		out, err := tierModels.message(row)
		tx.Audit("tier_model", row.ID, out)
		return out, err
	})
}

// GetTierModel returns a version.
func (s *Server) GetTierModel(ctx context.Context, req *customerv1.GetTierModelRequest) (*customerv1.TierModel, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return tierModels.get(ctx, s, s.pool, id)
}

// ListTierModels lists the versions, newest first.
func (s *Server) ListTierModels(ctx context.Context, req *customerv1.ListTierModelsRequest) (*customerv1.ListTierModelsResponse, error) {
	list, next, err := tierModels.list(ctx, s, req, req.GetPageToken(), page.Size(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	return &customerv1.ListTierModelsResponse{TierModels: list, NextPageToken: next}, nil
}

// PublishTierModel puts a draft into effect.
func (s *Server) PublishTierModel(ctx context.Context, req *customerv1.PublishTierModelRequest) (*customerv1.TierModel, error) {
	id, err := decided(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.TierModel, error) {
		out, err := tierModels.publish(ctx, s, tx, id, req.GetEtag(), req.GetEffectiveTime())
		tx.Audit("tier_model", id, out)
		return out, err
	})
}
