package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// SetTier sets a tier by hand until a date.
func (s *Server) SetTier(ctx context.Context, req *customerv1.SetTierRequest) (*customerv1.Customer, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if fault := customer.TierEndTime(req.GetEndTime().AsTime(), s.now()); fault != nil {
		return nil, invalid("", []customer.Fault{*fault})
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Customer, error) {
		row, err := s.lockCustomer(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		from := typev1.Tier(row.Tier)
		row.Tier, row.TierReason, row.TierEndTime = int16(req.GetTier()), req.GetReason(), timePtr(req.GetEndTime())
		if err := s.storeTier(ctx, tx, row, from, customerv1.TierReason_TIER_REASON_OVERRIDE, nil, event.Event{}); err != nil {
			return nil, err
		}
		out, err := s.file(ctx, tx, row)
		tx.Audit("customer", row.ID, out)
		return out, err
	})
}

// SetConsent records that consent was given or withdrawn. Each decision is kept,
// also one that repeats the last: it was shown other wording or told another way.
func (s *Server) SetConsent(ctx context.Context, req *customerv1.SetConsentRequest) (*customerv1.Customer, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if err := own(ctx, id); err != nil {
		return nil, err
	}
	out, err := s.setConsent(ctx, req, id)
	if err != nil {
		return nil, err
	}
	return s.told(ctx, out)
}

// told shows of the file of a consent that was recorded what the caller may see without a
// grant: recording consent opens no file.
func (s *Server) told(ctx context.Context, c *customerv1.Customer) (*customerv1.Customer, error) {
	owner, err := idPtr(c.GetOwnerStaffId())
	if err != nil {
		return nil, err
	}
	reader, file, err := s.place(ctx, readerOf(ctx), int16(c.GetTier()), owner)
	if err != nil {
		return nil, err
	}
	if disclosure.ByClearance(reader, file).Basis == disclosure.Refused {
		c.Phone, c.Email, c.Address = "", "", nil
	}
	return view(ctx, c), nil
}

func (s *Server) setConsent(ctx context.Context, req *customerv1.SetConsentRequest, id uuid.UUID) (*customerv1.Customer, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Customer, error) {
		row, err := s.lockCustomer(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if req.GetPurpose() == customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY {
			row.ServiceQualityConsent = req.GetGranted()
		}
		var b pg.Batch
		err = s.q.InsertConsent(ctx, &b, db.InsertConsentParams{
			CustomerID: id, Version: row.Version, Purpose: int16(req.GetPurpose()), Granted: req.GetGranted(),
			DecideTime: row.UpdateTime, Channel: int16(req.GetChannel()), WordingVersion: req.GetWordingVersion(),
			Recorder: authn.FromContext(ctx).Actor(),
		})
		if err != nil {
			return nil, fmt.Errorf("insert consent: %w", err)
		}
		if err := s.q.SetCustomerConsent(ctx, &b, row.ServiceQualityConsent, row.UpdateTime, id); err != nil {
			return nil, err
		}
		if err := pg.Flush(ctx, tx, &b); err != nil {
			return nil, err
		}
		return s.changed(ctx, tx, row, &customerv1.ConsentDecision{Purpose: req.GetPurpose(), Granted: req.GetGranted()})
	})
}
