package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// CreateCustomer opens a file.
func (s *Server) CreateCustomer(ctx context.Context, req *customerv1.CreateCustomerRequest) (*customerv1.Customer, error) {
	given := proto.CloneOf(req.GetCustomer())
	customer.Complete(given)
	faults := append(customer.PointsOf(given).Normalize(s.region, req.GetKeepInvalid()), customer.CheckFile(given)...)
	definitions, err := s.definitions(ctx)
	if err != nil {
		return nil, err
	}
	faults = append(faults, customer.CheckAttributes(definitions, given, nil)...)
	if err := invalid("customer.", faults); err != nil {
		return nil, err
	}
	// A number is drawn outside of the transaction, so that all of it travels in
	// one round trip; one that is not used leaves a gap.
	numbers, err := s.q.NextCustomerNumbers(ctx, s.pool, 1)
	if err != nil {
		return nil, fmt.Errorf("draw a number: %w", err)
	}
	return write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*customerv1.Customer, error) {
		row, err := s.newCustomer(given)
		if err != nil {
			return nil, err
		}
		row.Number = customer.Number(row.CreateTime, numbers[0])
		row.Creator, row.CreateSource = authn.FromContext(ctx).Actor(), int16(req.GetSource())
		keys, err := s.insertCustomer(ctx, tx, row, given, numbers[0])
		if err != nil {
			return nil, err
		}
		emitCustomer(&tx.Record, customerref.TypeCreated, row, nil, event.Event{})
		out, err := customerProto(row, nil, keys)
		if err != nil {
			return nil, err
		}
		tx.Audit("customer", row.ID, out)
		return out, nil
	})
}

// newCustomer makes the row of a file that is opened now.
func (s *Server) newCustomer(given *customerv1.Customer) (*db.Customer, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Customer{
		ID: id, Tier: int16(typev1.Tier_TIER_C), Status: int16(customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE),
		ServiceQualityConsent: true, CreateTime: now, UpdateTime: now, Version: 1,
	}
	row.ReviewDueTime = customer.ReviewDue(now, given.GetUpdateIntervalDays())
	return row, fillCustomer(row, given)
}

// insertCustomer queues key, file and summary of a new customer.
func (s *Server) insertCustomer(ctx context.Context, p pg.DBTX, row *db.Customer, given *customerv1.Customer, sequence int64) (pii.Subjects, error) {
	subject, err := s.keys.Create(ctx, p, row.ID)
	if err != nil {
		return nil, err
	}
	if err := s.sealCustomer(row, given, subject); err != nil {
		return nil, err
	}
	if err := s.q.InsertCustomer(ctx, p, insertCustomer(row, sequence)); err != nil {
		return nil, fmt.Errorf("insert customer: %w", err)
	}
	return pii.Subjects{row.ID: subject}, nil
}

// emitCustomer tells the others what they keep of the customer. Time and history
// are taken from like.
func emitCustomer(to *write.Record, kind string, row *db.Customer, decision *customerv1.ConsentDecision, like event.Event) {
	like.Type, like.SubjectID, like.SubjectVersion, like.CustomerID = kind, row.ID, row.Version, row.ID
	like.Payload = &customerv1.CustomerChanged{Customer: customerRef(row), Decision: decision}
	to.Emit(like)
}

// GetCustomer returns a file and leaves a record of the read.
func (s *Server) GetCustomer(ctx context.Context, req *customerv1.GetCustomerRequest) (*customerv1.Customer, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	out, read, err := s.readCustomer(ctx, id, waysThere)
	if err != nil {
		return nil, err
	}
	return out, read.Done(ctx)
}

// readCustomer returns a file as the caller may see it, and the reading, which is not done.
func (s *Server) readCustomer(ctx context.Context, id uuid.UUID, wanted part) (*customerv1.Customer, *audit.Reading, error) {
	row, verdict, err := s.openFile(ctx, id, wanted)
	if err != nil {
		return nil, nil, err
	}
	read := s.reading(ctx, verdict, "customer", id, id)
	out, err := s.file(ctx, read.Few(), row)
	if err != nil {
		return nil, nil, err
	}
	return forVisit(verdict, view(ctx, out)), read, nil
}

// file completes a row to its file.
func (s *Server) file(ctx context.Context, on pg.DBTX, row *db.Customer) (*customerv1.Customer, error) {
	consents, err := s.q.ListConsents(ctx, on, row.ID)
	if err != nil {
		return nil, fmt.Errorf("read consents: %w", err)
	}
	keys, err := s.keys.Subjects(ctx, on, row.ID)
	if err != nil {
		return nil, err
	}
	return customerProto(row, consents, keys)
}

func missingCustomer(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound(id)
	}
	return fmt.Errorf("read customer: %w", err)
}

// lockCustomer reads the row for a change and refuses a stale etag.
func (s *Server) lockCustomer(ctx context.Context, tx *write.Tx, id uuid.UUID, given string) (*db.Customer, error) {
	row, err := s.q.LockCustomer(ctx, tx, id)
	if err != nil {
		return nil, missingCustomer(err, id)
	}
	return &row, current(given, row.Version, "customer", id)
}

// UpdateCustomer changes the fields that the mask names.
func (s *Server) UpdateCustomer(ctx context.Context, req *customerv1.UpdateCustomerRequest) (*customerv1.Customer, error) {
	id, err := parseID("customer.id", req.GetCustomer().GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Customer, error) {
		row, err := s.lockChangeable(ctx, tx, id, req.GetCustomer().GetEtag())
		if err != nil {
			return nil, err
		}
		before, err := s.file(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		after, err := s.mergeCustomer(ctx, before, req.GetCustomer(), req.GetUpdateMask(), req.GetKeepInvalid())
		if err != nil {
			return nil, err
		}
		if proto.Equal(before, after) {
			tx.Unchanged()
			return before, nil
		}
		return s.changeCustomer(ctx, tx, row, before, after, req.GetSource())
	})
}

// changeable refuses a change of a file that is retired or closed to the caller.
func (s *Server) changeable(ctx context.Context, row *db.Customer) error {
	if err := s.writable(ctx, row.Tier, row.OwnerStaffID); err != nil {
		return err
	}
	return inUse(row)
}

func inUse(row *db.Customer) error {
	if row.Status == int16(customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED) {
		return customer.Retired()
	}
	return nil
}

// mergeCustomer gives the file after the update, complete, normalised and valid.
func (s *Server) mergeCustomer(ctx context.Context, before, given *customerv1.Customer, mask *fieldmaskpb.FieldMask, keep bool) (*customerv1.Customer, error) {
	after := proto.CloneOf(before)
	if err := fieldmask.Apply(after, given, mask, "id"); err != nil {
		return nil, err
	}
	customer.Complete(after)
	if err := rpc.Check(s.validator, &customerv1.CreateCustomerRequest{Customer: after}); err != nil {
		return nil, err
	}
	faults := customer.PointsOf(after).Renormalize(customer.PointsOf(before), s.region, keep)
	faults = append(faults, customer.CheckFile(after)...)
	if named(mask, "attributes") {
		definitions, err := s.definitions(ctx)
		if err != nil {
			return nil, err
		}
		faults = append(faults, customer.CheckAttributes(definitions, after, before.GetAttributes())...)
	}
	return after, invalid("customer.", faults)
}

func named(mask *fieldmaskpb.FieldMask, field string) bool {
	return slices.Contains(mask.GetPaths(), field)
}

// changeCustomer writes a changed file to the locked row and tells the others.
func (s *Server) changeCustomer(ctx context.Context, tx *write.Tx, row *db.Customer, before, after *customerv1.Customer, source customerv1.ValueSource) (*customerv1.Customer, error) {
	if err := s.storeFile(ctx, tx, row, before, after, source); err != nil {
		return nil, err
	}
	return s.changed(ctx, tx, row, nil)
}

// storeFile writes a changed file to the locked row, and to its history what changed.
func (s *Server) storeFile(ctx context.Context, tx *write.Tx, row *db.Customer, before, after *customerv1.Customer, source customerv1.ValueSource) error {
	changes := customer.Diff(before, after)
	by := s.origin(ctx, source)
	kept, err := fieldStates(row.ID, row.FieldStates)
	if err != nil {
		return err
	}
	if row.FieldStates, err = proto.Marshal(customer.Changed(kept, changes, by)); err != nil {
		return fmt.Errorf("encode field states: %w", err)
	}
	subject, err := s.keys.Subject(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	if err := fillCustomer(row, after); err != nil {
		return err
	}
	if err := s.sealCustomer(row, after, subject); err != nil {
		return err
	}
	// A feed that comes every night has looked at nothing.
	if source != customerv1.ValueSource_VALUE_SOURCE_IMPORT {
		row.ReviewDueTime = customer.ReviewDue(by.Time, row.UpdateIntervalDays)
	}
	if err := s.storeCustomer(ctx, tx, row); err != nil {
		return err
	}
	if err := s.refreshSearch(ctx, tx, row.ID); err != nil {
		return err
	}
	return s.keepChanges(ctx, tx, trail{subject, row.ID, nil, row.Version}, changes, by)
}

// storeCustomer writes the locked row and its summary.
func (s *Server) storeCustomer(ctx context.Context, tx *write.Tx, row *db.Customer) error {
	row.UpdateTime, row.Version = s.now(), row.Version+1
	var b pg.Batch
	if err := s.q.UpdateCustomer(ctx, &b, updateCustomer(row)); err != nil {
		return err
	}
	if err := s.q.UpdateSummaryFile(ctx, &b, updateSummary(row)); err != nil {
		return err
	}
	return pg.Flush(ctx, tx, &b)
}

// changed tells and records that the row changed, and returns its file. decision is the one
// on consent that the change is, nil for every other.
func (s *Server) changed(ctx context.Context, tx *write.Tx, row *db.Customer, decision *customerv1.ConsentDecision) (*customerv1.Customer, error) {
	out, err := s.file(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	emitCustomer(&tx.Record, customerref.TypeChanged, row, decision, event.Event{})
	tx.Audit("customer", row.ID, out)
	return out, nil
}

// ResolveCustomer returns what another service keeps of a customer.
func (s *Server) ResolveCustomer(ctx context.Context, req *customerv1.ResolveCustomerRequest) (*customerv1.CustomerRef, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.ResolveCustomer(ctx, s.pool, id)
	if err != nil {
		return nil, missingCustomer(err, id)
	}
	return customerRef(&row.Customer), nil
}
