package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/warranty"
)

// warrantyPolicies are the versions of the periods of cover.
var warrantyPolicies = rules[*customerv1.WarrantyPolicy]{
	kind: 1, name: "warranty policy",
	fill: func(m *customerv1.WarrantyPolicy, row *db.RuleVersion) {
		m.Id, m.Version, m.State = row.ID.String(), row.Version, customerv1.VersionState(row.State)
		m.EffectiveTime, m.CreateTime = stampPtr(row.EffectiveTime), timestamppb.New(row.CreateTime)
		m.Author, m.Publisher, m.Etag = row.Author, text(row.Publisher), etag(row.Revision)
	},
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// GetWarrantyState tells how a product is covered at an instant.
func (s *Server) GetWarrantyState(ctx context.Context, req *customerv1.GetWarrantyStateRequest) (*customerv1.WarrantyState, error) {
	row, err := s.findProduct(ctx, req)
	if err != nil {
		return nil, err
	}
	_, verdict, err := s.openFile(ctx, row.CustomerID, allOfIt)
	if err != nil {
		return nil, err
	}
	at := s.now()
	if req.GetAtTime() != nil {
		at = micro(req.GetAtTime().AsTime())
	}
	product := productProto(row)
	var policy *customerv1.WarrantyPolicy
	if start := warranty.Start(product); start != nil && warranty.NeedsPolicy(product) {
		if policy, err = warrantyPolicies.inEffect(ctx, s, s.pool, *start); err != nil {
			return nil, err
		}
	}
	out := warranty.State(product, policy, at, s.disclosure.Zone)
	if authn.FromContext(ctx).Kind == authn.Service {
		return out, nil // a service asks for a case of its own, and nobody reads the file
	}
	return out, s.reading(ctx, verdict, "customer", row.CustomerID, row.CustomerID).Done(ctx)
}

// findProduct finds the product that a request names in one of two ways.
func (s *Server) findProduct(ctx context.Context, req *customerv1.GetWarrantyStateRequest) (*db.InstalledProduct, error) {
	id, err := optionalID("installed_product_id", req.GetInstalledProductId())
	if err != nil {
		return nil, err
	}
	var serial *string
	name := req.GetInstalledProductId()
	if req.GetSerialNumber() != "" {
		name, serial = req.GetSerialNumber(), &req.SerialNumber
	}
	if (id == nil) == (serial == nil) {
		return nil, rpcerr.Invalid("serial_number", rpcerr.T("give either installed_product_id or serial_number, one of them",
			"请在 installed_product_id 与 serial_number 中填写且只填写一个"))
	}
	row, err := s.q.FindInstalledProduct(ctx, s.pool, id, serial)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("installed product", name)
	}
	if err != nil {
		return nil, fmt.Errorf("find installed product: %w", err)
	}
	return &row, nil
}

// CreateWarrantyPolicy makes a draft.
func (s *Server) CreateWarrantyPolicy(ctx context.Context, req *customerv1.CreateWarrantyPolicyRequest) (*customerv1.WarrantyPolicy, error) {
	author, err := person(ctx)
	if err != nil {
		return nil, err
	}
	if err := invalid("warranty_policy.", warranty.Check(req.GetWarrantyPolicy())); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.WarrantyPolicy, error) {
		row, err := warrantyPolicies.draft(ctx, s, tx, author, &customerv1.WarrantyPolicy{Clauses: req.GetWarrantyPolicy().GetClauses()})
		if err != nil {
			return nil, err
		}
		out, err := warrantyPolicies.message(row)
		tx.Audit("warranty_policy", row.ID, out)
		return out, err
	})
}

// GetWarrantyPolicy returns a version.
func (s *Server) GetWarrantyPolicy(ctx context.Context, req *customerv1.GetWarrantyPolicyRequest) (*customerv1.WarrantyPolicy, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return warrantyPolicies.get(ctx, s, s.pool, id)
}

// ListWarrantyPolicies lists the versions, newest first.
func (s *Server) ListWarrantyPolicies(ctx context.Context, req *customerv1.ListWarrantyPoliciesRequest) (*customerv1.ListWarrantyPoliciesResponse, error) {
	list, next, err := warrantyPolicies.list(ctx, s, req, req.GetPageToken(), page.Size(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	return &customerv1.ListWarrantyPoliciesResponse{WarrantyPolicies: list, NextPageToken: next}, nil
}

// PublishWarrantyPolicy puts a draft into effect.
func (s *Server) PublishWarrantyPolicy(ctx context.Context, req *customerv1.PublishWarrantyPolicyRequest) (*customerv1.WarrantyPolicy, error) {
	id, err := decided(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.WarrantyPolicy, error) {
		out, err := warrantyPolicies.publish(ctx, s, tx, id, req.GetEtag(), req.GetEffectiveTime())
		tx.Audit("warranty_policy", id, out)
		return out, err
	})
}

// decided reads the id of what a person decides on.
func decided(ctx context.Context, given string) (uuid.UUID, error) {
	if _, err := person(ctx); err != nil {
		return uuid.Nil, err
	}
	return parseID("id", given)
}
