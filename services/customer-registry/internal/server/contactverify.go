package server

import (
	"context"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// VerifyContact records that values of a contact were verified.
func (s *Server) VerifyContact(ctx context.Context, req *customerv1.VerifyContactRequest) (*customerv1.Contact, error) {
	customerID, id, err := contactIDs("customer_id", req.GetCustomerId(), "id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Contact, error) {
		row, err := s.lockOpenContact(ctx, tx, customerID, id, req.GetEtag(), s.changeableByID)
		if err != nil {
			return nil, err
		}
		subject, err := s.keys.Subject(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		held, err := contactProto(row, pii.Subjects{id: subject})
		if err != nil {
			return nil, err
		}
		kept, err := fieldStates(id, row.FieldStates)
		if err != nil {
			return nil, err
		}
		by := s.origin(ctx, customerv1.ValueSource_VALUE_SOURCE_UNSPECIFIED)
		states, faults := customer.Verified(held, added(row), kept, req.GetFields(), req.GetMethod(), by)
		if err := invalid("", faults); err != nil {
			return nil, err
		}
		if err := s.storeContact(ctx, tx, row, states); err != nil {
			return nil, err
		}
		changes := customer.Verifications(kept, states, req.GetFields())
		if err := s.keepChanges(ctx, tx, trail{subject, customerID, &id, row.Version}, changes, by); err != nil {
			return nil, err
		}
		out, err := contactProto(row, pii.Subjects{id: subject})
		tx.AuditOf(customerID, "contact", id, out)
		return out, err
	})
}
