package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// reportedContact is the contact that a report is about, nil where it is about the file.
func reportedContact(given *customerv1.ChangeReport) (*uuid.UUID, error) {
	contact := given.GetContact()
	if contact == nil {
		return nil, nil
	}
	if given.GetCustomer() != nil {
		return nil, rpcerr.Invalid("change_report.contact", rpcerr.T(
			"customer is given too; report a change of the file and one of a contact apart",
			"同时填写了 customer；请将档案的变更与联系人的变更分开报告"))
	}
	if owner := contact.GetCustomerId(); owner != "" && owner != given.GetCustomerId() {
		return nil, rpcerr.Invalid("change_report.contact.customer_id", rpcerr.T(
			"it is %[1]s, and the report is on %[2]s; give the same or none", "值为 %[1]s，而报告针对 %[2]s；请填写相同的值或留空",
			owner, given.GetCustomerId()))
	}
	id, err := parseID("change_report.contact.id", contact.GetId())
	if err != nil {
		return nil, err
	}
	return &id, nil
}

// reportKey is whose key a report's proposal is under.
func reportKey(row *db.ChangeReport) uuid.UUID {
	if row.ContactID != nil {
		return *row.ContactID
	}
	return row.CustomerID
}

// namedContact names the contact in what was proposed of it.
func namedContact(proposed *customerv1.Contact, customer, id uuid.UUID) *customerv1.Contact {
	if proposed == nil {
		proposed = new(customerv1.Contact)
	}
	proposed.Id, proposed.CustomerId = id.String(), customer.String()
	return proposed
}

func (s *Server) applyToContact(ctx context.Context, tx *write.Tx, row *db.ChangeReport, told *customerv1.ChangeReport) error {
	target, err := s.lockOpenContact(ctx, tx, row.CustomerID, *row.ContactID, "", s.changeableByID)
	if err != nil {
		return err
	}
	change, err := s.changeOf(ctx, tx, target, told.GetContact(), told.GetUpdateMask(), false)
	if err != nil || proto.Equal(change.before, change.after) {
		return err
	}
	_, err = s.changeContact(ctx, tx, target, change, told.GetSource())
	return err
}
