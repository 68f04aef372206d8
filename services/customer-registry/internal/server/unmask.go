package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// UnmaskCustomer shows one value in plain and takes it from the caller's budget of the day.
func (s *Server) UnmaskCustomer(ctx context.Context, req *customerv1.UnmaskCustomerRequest) (*customerv1.UnmaskedValue, error) {
	actor, err := person(ctx)
	if err != nil {
		return nil, err
	}
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	contact, err := optionalID("contact_id", req.GetContactId())
	if err != nil {
		return nil, err
	}
	if contact != nil && req.GetField() == customerv1.UnmaskField_UNMASK_FIELD_ADDRESS {
		return nil, rpcerr.Invalid("field", rpcerr.T("a contact has no address; give UNMASK_FIELD_PHONE or UNMASK_FIELD_EMAIL",
			"联系人没有地址；请填写 UNMASK_FIELD_PHONE 或 UNMASK_FIELD_EMAIL"))
	}
	_, verdict, err := s.openFile(ctx, id, allOfIt)
	if err != nil {
		return nil, err
	}
	whole(ctx)
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.UnmaskedValue, error) {
		out, err := s.plainValue(ctx, tx, id, contact, req.GetField())
		if err != nil {
			return nil, err
		}
		if out.Remaining, err = s.chargeUnmask(ctx, tx, actor); err != nil {
			return nil, err
		}
		row, err := newID()
		if err != nil {
			return nil, err
		}
		err = s.q.InsertUnmask(ctx, tx, db.InsertUnmaskParams{
			ID: row, Actor: actor, CustomerID: id, ContactID: contact, Field: int16(req.GetField()),
			Purpose: req.GetPurpose(), UnmaskTime: s.now(),
		})
		if err != nil {
			return nil, fmt.Errorf("insert unmask: %w", err)
		}
		tx.AuditRight(verdict.Right(authz.FromContext(ctx).Right), id, "customer", id, req)
		return out, nil
	})
}

// chargeUnmask takes one from the budget and tells what is left.
func (s *Server) chargeUnmask(ctx context.Context, tx *write.Tx, actor string) (int32, error) {
	now := s.now()
	day, next := disclosure.Day(now, s.disclosure.Zone)
	budget := s.disclosure.UnmaskBudget
	used, err := s.q.UseUnmaskBudget(ctx, tx, actor, day, budget)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, rpcerr.Exhausted("UNMASK_BUDGET_USED", next.Sub(now), rpcerr.T(
			"You have unmasked %[1]d values today, which is all of your budget; it begins anew at %[2]s.",
			"您今天已查看 %[1]d 项明文，额度已用完；将于 %[2]s 重新开始。", budget, next.UTC().Format(time.RFC3339)))
	}
	if err != nil {
		return 0, fmt.Errorf("use the unmask budget: %w", err)
	}
	return budget - used, nil
}

// plainValue reads the value asked for.
func (s *Server) plainValue(ctx context.Context, on pg.DBTX, id uuid.UUID, contact *uuid.UUID, field customerv1.UnmaskField) (*customerv1.UnmaskedValue, error) {
	if contact != nil {
		row, err := s.q.GetContact(ctx, on, *contact, id)
		if err != nil {
			return nil, missingContact(err, *contact)
		}
		keys, err := s.keys.Subjects(ctx, on, row.ID)
		if err != nil {
			return nil, err
		}
		c, err := contactProto(&row, keys)
		if err != nil {
			return nil, err
		}
		return chosen(field, customer.Dialled(c.GetPhone(), c.GetPhoneExtension()), c.GetEmail(), nil), nil
	}
	row, err := s.q.GetCustomer(ctx, on, id)
	if err != nil {
		return nil, missingCustomer(err, id)
	}
	keys, err := s.keys.Subjects(ctx, on, id)
	if err != nil {
		return nil, err
	}
	c, err := customerProto(&row, nil, keys)
	if err != nil {
		return nil, err
	}
	return chosen(field, customer.Dialled(c.GetPhone(), c.GetPhoneExtension()), c.GetEmail(), c.GetAddress()), nil
}

func chosen(field customerv1.UnmaskField, phone, email string, address *customerv1.Address) *customerv1.UnmaskedValue {
	switch field {
	case customerv1.UnmaskField_UNMASK_FIELD_PHONE:
		return &customerv1.UnmaskedValue{Value: phone}
	case customerv1.UnmaskField_UNMASK_FIELD_EMAIL:
		return &customerv1.UnmaskedValue{Value: email}
	}
	return &customerv1.UnmaskedValue{Address: address}
}
