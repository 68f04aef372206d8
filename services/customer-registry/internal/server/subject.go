package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// Subjects is what the registry holds on persons.
func (s *Server) Subjects() subject.Declaration {
	return subject.Declaration{
		Tables: db.SubjectTables(), Shreds: []string{db.SetCustomer, db.SetContact}, Find: s.findSubject, Erased: s.subjectErased,
	}
}

// findSubject finds what the registry holds on a person: with the first part all but the
// orders, of which there may be many.
func (s *Server) findSubject(ctx context.Context, on pg.DBTX, person *subjectv1.Subject, cursor string) (subject.Part, error) {
	if person.GetContactId() != "" {
		return s.findContact(ctx, on, person)
	}
	after, err := subject.Position(cursor)
	if err != nil {
		return subject.Part{}, err
	}
	customers, err := subject.IDs(person.GetCustomerIds())
	if err != nil {
		return subject.Part{}, err
	}
	orders, err := s.q.ListSubjectOrders(ctx, on, customers, after, subject.PartSize)
	if err != nil {
		return subject.Part{}, fmt.Errorf("find orders: %w", err)
	}
	part := subject.After(db.SetOrder, orders)
	if cursor != "" {
		return part, nil
	}
	part.Sets[db.SetCustomer] = customers
	contacts, err := s.q.ListPersonContacts(ctx, on, customers, nil)
	if err != nil {
		return subject.Part{}, fmt.Errorf("find contacts: %w", err)
	}
	for i := range contacts {
		part.Sets[db.SetContact] = append(part.Sets[db.SetContact], contacts[i].ID)
	}
	if part.Sets[db.SetAccessRequest], err = s.q.ListRequestsNaming(ctx, on, customers); err != nil {
		return subject.Part{}, fmt.Errorf("find access requests: %w", err)
	}
	if part.Sets[db.SetExtract], err = s.q.ListRequestExtracts(ctx, on, part.Sets[db.SetAccessRequest]); err != nil {
		return subject.Part{}, fmt.Errorf("find extracts: %w", err)
	}
	if part.Sets[db.SetSubjectRequest], err = s.q.ListSubjectRequestIDs(ctx, on, customers); err != nil {
		return subject.Part{}, fmt.Errorf("find requests: %w", err)
	}
	return part, nil
}

// findContact finds what the registry holds on somebody at a customer.
func (s *Server) findContact(ctx context.Context, on pg.DBTX, person *subjectv1.Subject) (subject.Part, error) {
	id, err := uuid.Parse(person.GetContactId())
	if err != nil {
		return subject.Part{}, err
	}
	requests, err := s.q.ListContactRequestIDs(ctx, on, &id)
	if err != nil {
		return subject.Part{}, fmt.Errorf("find requests: %w", err)
	}
	return subject.Part{Done: true, Sets: subject.Sets{db.SetContact: {id}, db.SetSubjectRequest: requests}}, nil
}

// subjectErased tells the others what is left of a customer and ends what else was asked for.
func (s *Server) subjectErased(ctx context.Context, tx *write.Tx, sets subject.Sets) error {
	if err := s.q.EndSubjectRequests(ctx, tx, sets[db.SetSubjectRequest]); err != nil {
		return fmt.Errorf("end requests: %w", err)
	}
	rows, err := s.q.ListPersonFiles(ctx, tx, sets[db.SetCustomer])
	if err != nil {
		return fmt.Errorf("read what is left: %w", err)
	}
	for i := range rows {
		emitCustomer(&tx.Record, customerref.TypeChanged, &rows[i], nil, event.Event{})
	}
	return s.contactsErased(ctx, tx, sets)
}

// contactsErased writes to the history of files that stay whom they have no more.
func (s *Server) contactsErased(ctx context.Context, tx *write.Tx, sets subject.Sets) error {
	gone, err := s.q.ListJustErased(ctx, tx, sets[db.SetContact])
	if err != nil {
		return fmt.Errorf("read who was erased: %w", err)
	}
	for _, c := range gone {
		removed := customer.Change{Field: fieldContacts, Before: c.ID.String()}
		err := s.keepOfFile(ctx, tx, c.CustomerID, c.Version, []customer.Change{removed})
		if err != nil && rpcerr.Reason(err) != "CUSTOMER_NOT_FOUND" { // one that is erased itself keeps none
			return err
		}
	}
	return nil
}

// person says who a request is about, by ids and by what else things of theirs are known.
func (s *Server) person(ctx context.Context, on pg.DBTX, row *db.SubjectRequest) (*subjectv1.Subject, error) {
	ids, err := s.q.ListPersonIDs(ctx, on, row.CustomerID)
	if err != nil {
		return nil, fmt.Errorf("find the customer: %w", err)
	}
	// The request's own customer comes first: by its id the person is called.
	ids = append([]uuid.UUID{row.CustomerID}, slices.DeleteFunc(ids, func(id uuid.UUID) bool { return id == row.CustomerID })...)
	out := &subjectv1.Subject{CustomerIds: texts(ids)}
	if row.ContactID != nil {
		out.ContactId = row.ContactID.String()
	}
	rows, err := s.q.ListPersonContacts(ctx, on, ids, row.ContactID)
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	contacts, err := s.contacts(ctx, on, rows)
	if err != nil {
		return nil, err
	}
	for _, c := range contacts {
		known(out, c.GetName(), c.GetPhone(), c.GetEmail())
	}
	if row.ContactID != nil {
		return out, nil
	}
	files, err := s.q.ListPersonFiles(ctx, on, ids)
	if err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	for i := range files {
		c, err := s.file(ctx, on, &files[i])
		if err != nil {
			return nil, err
		}
		known(out, c.GetName(), c.GetPhone(), c.GetEmail())
	}
	return out, nil
}

// known adds what is not empty and not there yet.
func known(to *subjectv1.Subject, name, phone, email string) {
	for _, v := range []struct {
		to    *[]string
		value string
	}{{&to.Names, name}, {&to.Phones, phone}, {&to.Emails, email}} {
		if v.value != "" && !slices.Contains(*v.to, v.value) {
			*v.to = append(*v.to, v.value)
		}
	}
}
