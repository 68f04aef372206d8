package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// origin is that of values the caller sets now.
func (s *Server) origin(ctx context.Context, source customerv1.ValueSource) customer.Origin {
	return customer.Origin{Source: source, Actor: authn.FromContext(ctx).Actor(), Time: s.now()}
}

// opened is the origin of what a file was opened with. Imported files came from their source.
func opened(row *db.Customer) customer.Origin {
	source := customerv1.ValueSource(row.CreateSource)
	if row.Source != nil && source == customerv1.ValueSource_VALUE_SOURCE_UNSPECIFIED {
		source = customerv1.ValueSource_VALUE_SOURCE_IMPORT
	}
	return customer.Origin{Source: source, Actor: row.Creator, Time: row.CreateTime}
}

// fieldStates reads what a row of a customer or contact keeps of its values' origins.
func fieldStates(id uuid.UUID, kept []byte) (*customerv1.FieldStates, error) {
	out := new(customerv1.FieldStates)
	if err := proto.Unmarshal(kept, out); err != nil {
		return nil, fmt.Errorf("decode field states of %s: %w", id, err)
	}
	return out, nil
}

// GetFieldStates tells of each value of a file where it came from.
func (s *Server) GetFieldStates(ctx context.Context, req *customerv1.GetFieldStatesRequest) (*customerv1.FieldStates, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, verdict, err := s.openFile(ctx, id, allOfIt)
	if err != nil {
		return nil, err
	}
	read := s.reading(ctx, verdict, "customer", id, id)
	file, err := s.file(ctx, read.Few(), row)
	if err != nil {
		return nil, err
	}
	kept, err := fieldStates(row.ID, row.FieldStates)
	if err != nil {
		return nil, err
	}
	out := customer.States(view(ctx, file), opened(row), kept)
	hideSetters(ctx, out.GetStates())
	return out, read.Done(ctx)
}

// hideSetters keeps from customers which member of staff set or verified a value.
func hideSetters(ctx context.Context, states []*customerv1.FieldState) {
	if authn.FromContext(ctx).Kind == authn.Customer {
		for _, state := range states {
			state.Setter, state.Verifier = "", ""
		}
	}
}

// VerifyCustomer records that values of a file were verified.
func (s *Server) VerifyCustomer(ctx context.Context, req *customerv1.VerifyCustomerRequest) (*customerv1.FieldStates, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.FieldStates, error) {
		row, err := s.lockChangeable(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		file, err := s.file(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		kept, err := fieldStates(row.ID, row.FieldStates)
		if err != nil {
			return nil, err
		}
		by := s.origin(ctx, customerv1.ValueSource_VALUE_SOURCE_UNSPECIFIED)
		states, faults := customer.Verified(file, opened(row), kept, req.GetFields(), req.GetMethod(), by)
		if err := invalid("", faults); err != nil {
			return nil, err
		}
		if row.FieldStates, err = proto.Marshal(states); err != nil {
			return nil, fmt.Errorf("encode field states: %w", err)
		}
		if err := s.storeCustomer(ctx, tx, row); err != nil {
			return nil, err
		}
		if err := s.keepOfFile(ctx, tx, row.ID, row.Version, customer.Verifications(kept, states, req.GetFields())); err != nil {
			return nil, err
		}
		if _, err := s.changed(ctx, tx, row, nil); err != nil {
			return nil, err
		}
		return customer.States(file, opened(row), states), nil
	})
}

// lockWritable locks a file that is open to the caller for changes. Whom it is closed to does
// not hear whether their etag is the file's.
func (s *Server) lockWritable(ctx context.Context, tx *write.Tx, id uuid.UUID, given string) (*db.Customer, error) {
	row, err := s.lockCustomer(ctx, tx, id, "")
	if err != nil {
		return nil, err
	}
	if err := s.writable(ctx, row.Tier, row.OwnerStaffID); err != nil {
		return nil, err
	}
	return row, current(given, row.Version, "customer", id)
}

// lockChangeable locks a file in use that the caller may change.
func (s *Server) lockChangeable(ctx context.Context, tx *write.Tx, id uuid.UUID, given string) (*db.Customer, error) {
	row, err := s.lockWritable(ctx, tx, id, given)
	if err != nil {
		return nil, err
	}
	return row, inUse(row)
}

// changeableByID is changeable for a customer not loaded yet.
func (s *Server) changeableByID(ctx context.Context, on pg.DBTX, id uuid.UUID) error {
	row, err := s.q.GetCustomer(ctx, on, id)
	if err != nil {
		return missingCustomer(err, id)
	}
	return s.changeable(ctx, &row)
}

// ConfirmCustomer records that a file is right as it stands.
func (s *Server) ConfirmCustomer(ctx context.Context, req *customerv1.ConfirmCustomerRequest) (*customerv1.Customer, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Customer, error) {
		row, err := s.lockChangeable(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		was := row.ReviewDueTime
		row.ReviewDueTime = customer.ReviewDue(s.now(), row.UpdateIntervalDays)
		if err := s.storeCustomer(ctx, tx, row); err != nil {
			return nil, err
		}
		due := customer.Change{Field: "review_due_time", Before: customer.TimeText(&was), After: customer.TimeText(&row.ReviewDueTime)}
		if err := s.keepOfFile(ctx, tx, row.ID, row.Version, []customer.Change{due}); err != nil {
			return nil, err
		}
		return s.changed(ctx, tx, row, nil)
	})
}

// RetireCustomer takes a file out of use.
func (s *Server) RetireCustomer(ctx context.Context, req *customerv1.RetireCustomerRequest) (*customerv1.Customer, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Customer, error) {
		row, err := s.lockWritable(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		if refusal := customer.Retire(customerv1.CustomerStatus(row.Status)); refusal != nil {
			return nil, refusal
		}
		now := s.now()
		return s.setStatus(ctx, tx, row, func() {
			row.Status = int16(customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED)
			row.RetireReason, row.RetireTime = req.GetReason(), &now
		})
	})
}

// RestoreCustomer takes a retired file into use again.
func (s *Server) RestoreCustomer(ctx context.Context, req *customerv1.RestoreCustomerRequest) (*customerv1.Customer, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Customer, error) {
		row, err := s.lockWritable(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		if refusal := customer.Restore(customerv1.CustomerStatus(row.Status)); refusal != nil {
			return nil, refusal
		}
		return s.setStatus(ctx, tx, row, func() {
			row.Status = int16(customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE)
			row.RetireReason, row.RetireTime = "", nil
		})
	})
}

// setStatus changes the status of the locked row and keeps in the history that it did and why.
func (s *Server) setStatus(ctx context.Context, tx *write.Tx, row *db.Customer, set func()) (*customerv1.Customer, error) {
	before := statusText(row)
	set()
	if err := s.storeCustomer(ctx, tx, row); err != nil {
		return nil, err
	}
	changes := []customer.Change{{Field: "status", Before: before, After: statusText(row)}}
	if err := s.keepOfFile(ctx, tx, row.ID, row.Version, changes); err != nil {
		return nil, err
	}
	return s.changed(ctx, tx, row, nil)
}

// statusText is a file's status for its history, with the reason where there is one.
func statusText(row *db.Customer) string {
	status := customerv1.CustomerStatus(row.Status).String()
	if row.RetireReason != "" {
		status += ": " + row.RetireReason
	}
	return status
}
