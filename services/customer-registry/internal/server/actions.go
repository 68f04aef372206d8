package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
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
		marks, err := s.marksOf(ctx, tx, []uuid.UUID{id}, nil)
		if err != nil {
			return nil, err
		}
		was := position(row, marks[id])
		row.Tier, row.TierReason, row.TierEndTime = int16(req.GetTier()), req.GetReason(), timePtr(req.GetEndTime())
		if err := s.storeTier(ctx, tx, row, was.Tier, customerv1.TierReason_TIER_REASON_OVERRIDE, nil, event.Event{}); err != nil {
			return nil, err
		}
		if err := s.keepOfFile(ctx, tx, id, row.Version, tier.Moved(was, position(row, marks[id]))); err != nil {
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
		before, err := s.decisionOn(ctx, tx, id, req.GetPurpose())
		if err != nil {
			return nil, err
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if req.GetPurpose() == customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY {
			row.ServiceQualityConsent = req.GetGranted()
		}
		decision := db.Consent{
			CustomerID: id, Version: row.Version, Purpose: int16(req.GetPurpose()), Granted: req.GetGranted(),
			DecideTime: row.UpdateTime, Channel: int16(req.GetChannel()), WordingVersion: req.GetWordingVersion(),
			Recorder: authn.FromContext(ctx).Actor(),
		}
		var b pg.Batch
		if err := s.q.InsertConsent(ctx, &b, db.InsertConsentParams(decision)); err != nil {
			return nil, fmt.Errorf("insert consent: %w", err)
		}
		if err := s.q.SetCustomerConsent(ctx, &b, row.ServiceQualityConsent, row.UpdateTime, id); err != nil {
			return nil, err
		}
		if err := pg.Flush(ctx, tx, &b); err != nil {
			return nil, err
		}
		change := customer.Decided(before, consentProto(&decision))
		if err := s.keepOfFile(ctx, tx, id, row.Version, []customer.Change{change}); err != nil {
			return nil, err
		}
		return s.changed(ctx, tx, row, &customerv1.ConsentDecision{Purpose: req.GetPurpose(), Granted: req.GetGranted()})
	})
}

// decisionOn is the decision on a purpose that is in force, nil where there is none.
func (s *Server) decisionOn(ctx context.Context, on pg.DBTX, id uuid.UUID, purpose customerv1.ConsentPurpose) (*customerv1.Consent, error) {
	rows, err := s.q.ListConsents(ctx, on, id)
	if err != nil {
		return nil, fmt.Errorf("read consents: %w", err)
	}
	for i := range rows {
		if rows[i].Purpose == int16(purpose) {
			return consentProto(&rows[i]), nil
		}
	}
	return nil, nil
}
