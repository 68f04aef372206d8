package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// CreateLegalHold keeps a customer's data from erasure.
func (s *Server) CreateLegalHold(ctx context.Context, req *customerv1.CreateLegalHoldRequest) (*customerv1.LegalHold, error) {
	actor, err := person(ctx)
	if err != nil {
		return nil, err
	}
	customer, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.LegalHold, error) {
		// Locked, so that no erasure is approved at the same time.
		if _, err := s.q.LockCustomer(ctx, tx, customer); err != nil {
			return nil, missingCustomer(err, customer)
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		row := &db.LegalHold{ID: id, CustomerID: customer, Reason: req.GetReason(), Actor: actor, CreateTime: s.now(), Version: 1}
		if err := s.q.InsertLegalHold(ctx, tx, db.InsertLegalHoldParams{
			ID: id, CustomerID: customer, Reason: row.Reason, Actor: actor, CreateTime: row.CreateTime,
		}); err != nil {
			return nil, fmt.Errorf("insert legal hold: %w", err)
		}
		return holdChanged(tx, "legalhold.placed.v1", "placed", row), nil
	})
}

// LiftLegalHold ends a hold.
func (s *Server) LiftLegalHold(ctx context.Context, req *customerv1.LiftLegalHoldRequest) (*customerv1.LegalHold, error) {
	if _, err := person(ctx); err != nil {
		return nil, err
	}
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.LegalHold, error) {
		row, err := s.q.LockLegalHold(ctx, tx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, rpcerr.NotFound("legal hold", id.String())
		}
		if err != nil {
			return nil, fmt.Errorf("read legal hold: %w", err)
		}
		if row.LiftTime != nil {
			return nil, rpcerr.WrongState("LEGAL_HOLD_LIFTED", rpcerr.T(
				"The legal hold %[1]s was lifted already.", "该法定保留 %[1]s 已经解除。", id))
		}
		now := s.now()
		row.LiftTime, row.Version = &now, row.Version+1
		if err := s.q.LiftLegalHold(ctx, tx, &now, id); err != nil {
			return nil, fmt.Errorf("lift legal hold: %w", err)
		}
		return holdChanged(tx, "legalhold.lifted.v1", "lifted", &row), nil
	})
}

// ListLegalHolds lists holds, newest first.
func (s *Server) ListLegalHolds(ctx context.Context, req *customerv1.ListLegalHoldsRequest) (*customerv1.ListLegalHoldsResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListLegalHolds(ctx, s.pool, before, req.GetLifted(), size+1)
	if err != nil {
		return nil, fmt.Errorf("list legal holds: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.LegalHold) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListLegalHoldsResponse{NextPageToken: next}
	for i := range rows {
		out.LegalHolds = append(out.LegalHolds, holdProto(&rows[i]))
	}
	return out, nil
}

// notHeld refuses the erasure of customers of whom something is held.
func (s *Server) notHeld(ctx context.Context, on pg.DBTX, customers []uuid.UUID) error {
	hold, err := s.q.FindLegalHold(ctx, on, customers)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find a legal hold: %w", err)
	}
	return rpcerr.WrongState("LEGAL_HOLD", rpcerr.T(
		"Nothing of this customer may be erased while the legal hold %[1]s stands (%[2]s); ask again when it was lifted.",
		"在法定保留 %[1]s 解除之前，不得删除该客户的数据（%[2]s）；请在解除后重新申请。", hold.ID, hold.Reason))
}

func holdChanged(tx *write.Tx, kind, state string, row *db.LegalHold) *customerv1.LegalHold {
	out := holdProto(row)
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID,
		Payload: &customerv1.FileAccessChanged{CustomerIds: []string{out.GetCustomerId()}, State: state},
	})
	tx.Audit("legal_hold", row.ID, out)
	return out
}

func holdProto(row *db.LegalHold) *customerv1.LegalHold {
	out := &customerv1.LegalHold{
		Id: row.ID.String(), CustomerId: row.CustomerID.String(), Reason: row.Reason, Actor: row.Actor,
		CreateTime: timestamppb.New(row.CreateTime),
	}
	if row.LiftTime != nil {
		out.LiftTime = timestamppb.New(*row.LiftTime)
	}
	return out
}
