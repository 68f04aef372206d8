package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// trail is what changes belong to.
type trail struct {
	// subject holds the key of the contact, or of the customer.
	subject  *pii.Subject
	customer uuid.UUID
	contact  *uuid.UUID
	version  int64
}

// history gathers what changed of any number of files, both values encrypted, for one
// statement.
type history struct {
	rows db.InsertCustomerChangesParams
}

func (h *history) add(of trail, changes []customer.Change) error {
	contact := uuid.Nil
	if of.contact != nil {
		contact = *of.contact
	}
	for _, c := range changes {
		id, err := newID()
		if err != nil {
			return err
		}
		before, err := sealChange(of.subject, id, "before", c.Before)
		if err != nil {
			return err
		}
		after, err := sealChange(of.subject, id, "after", c.After)
		if err != nil {
			return err
		}
		r := &h.rows
		r.Ids, r.CustomerIds, r.ContactIds = append(r.Ids, id), append(r.CustomerIds, of.customer), append(r.ContactIds, contact)
		r.Versions, r.Fields = append(r.Versions, of.version), append(r.Fields, c.Field)
		r.Befores, r.Afters = append(r.Befores, before), append(r.Afters, after)
	}
	return nil
}

// keep writes what was gathered.
func (s *Server) keep(ctx context.Context, on pg.DBTX, h *history, by customer.Origin) error {
	if len(h.rows.Ids) == 0 {
		return nil
	}
	h.rows.ChangeTime, h.rows.Actor, h.rows.Source = by.Time, by.Actor, int16(by.Source)
	if err := s.q.InsertCustomerChanges(ctx, on, h.rows); err != nil {
		return fmt.Errorf("write the history of files: %w", err)
	}
	return nil
}

// keepChanges writes to the history what changed of one file or contact.
func (s *Server) keepChanges(ctx context.Context, on pg.DBTX, of trail, changes []customer.Change, by customer.Origin) error {
	var h history
	if err := h.add(of, changes); err != nil {
		return err
	}
	return s.keep(ctx, on, &h, by)
}

// keepOfFile writes to the history what the caller changed of a file beside its fields, or of
// what hangs on it. version is that of what changed.
func (s *Server) keepOfFile(ctx context.Context, on pg.DBTX, id uuid.UUID, version int64, changes []customer.Change) error {
	subject, err := s.keys.Subject(ctx, on, id)
	if errors.Is(err, pii.ErrShredded) {
		return notFound(id) // erased since it was looked up
	}
	if err != nil {
		return err
	}
	return s.keepChanges(ctx, on, trail{subject, id, nil, version}, changes, s.origin(ctx, sourceOf(ctx)))
}

// sourceOf is where values come from when the call does not say: what a system tells came
// from another system.
func sourceOf(ctx context.Context) customerv1.ValueSource {
	switch caller := authn.FromContext(ctx); caller.Kind {
	case authn.Customer:
		return customerv1.ValueSource_VALUE_SOURCE_CUSTOMER
	case authn.ServiceAccount:
		return customerv1.ValueSource_VALUE_SOURCE_IMPORT
	}
	return customerv1.ValueSource_VALUE_SOURCE_UNSPECIFIED
}

// The field of the history that tells of people who were added to a file or removed from it.
// Both values are the id, under the customer's key: it says no more of the person, and stays
// when theirs is destroyed.
const fieldContacts = "contacts"

func changePlace(row uuid.UUID, column string) pii.Place {
	return pii.Place{Table: "customer_changes", Column: column, Row: row}
}

func sealChange(subject *pii.Subject, row uuid.UUID, column, value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	return subject.Seal(changePlace(row, column), value)
}

// ListCustomerChanges lists what was changed in a file and what hangs on it, newest first.
func (s *Server) ListCustomerChanges(ctx context.Context, req *customerv1.ListCustomerChangesRequest) (*customerv1.ListCustomerChangesResponse, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	_, verdict, err := s.openFile(ctx, id, allOfIt)
	if err != nil {
		return nil, err
	}
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	read := s.reading(ctx, verdict, "customer", id, id)
	rows, err := s.q.ListCustomerChanges(ctx, read, db.ListCustomerChangesParams{
		CustomerID: id, Before: before, Field: req.GetField(), Count: size + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.CustomerChange) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerChangesResponse{NextPageToken: next}
	if out.Changes, err = s.changes(ctx, id, rows); err != nil {
		return nil, err
	}
	return out, read.Done(ctx)
}

// changes decrypts rows of a customer's history.
func (s *Server) changes(ctx context.Context, customerID uuid.UUID, rows []db.CustomerChange) ([]*customerv1.CustomerChange, error) {
	subjects := set{}
	subjects.add(customerID)
	for i := range rows {
		if rows[i].ContactID != nil {
			subjects.add(*rows[i].ContactID)
		}
	}
	keys, err := s.keys.Subjects(ctx, s.pool, subjects.sorted()...)
	if err != nil {
		return nil, err
	}
	out := make([]*customerv1.CustomerChange, 0, len(rows))
	for i := range rows {
		row, subject := &rows[i], customerID
		if row.ContactID != nil {
			subject = *row.ContactID
		}
		change := &customerv1.CustomerChange{
			Id: row.ID.String(), ContactId: idString(row.ContactID), Field: row.Field, ChangeTime: timestamppb.New(row.ChangeTime),
			Actor: row.Actor, Source: customerv1.ValueSource(row.Source), Etag: etag(row.Version),
		}
		if change.Before, err = unseal(keys, subject, changePlace(row.ID, "before"), row.Before); err != nil {
			return nil, err
		}
		if change.After, err = unseal(keys, subject, changePlace(row.ID, "after"), row.After); err != nil {
			return nil, err
		}
		if row.Field == fieldContacts {
			change.ContactId = change.GetBefore() + change.GetAfter()
		}
		out = append(out, change)
	}
	return out, nil
}
