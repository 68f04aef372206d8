package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// CreateContact adds a person to a customer.
func (s *Server) CreateContact(ctx context.Context, req *customerv1.CreateContactRequest) (*customerv1.Contact, error) {
	customerID, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	given := proto.CloneOf(req.GetContact())
	completeContact(given)
	faults := append(customer.PointsOfContact(given).Normalize(s.region, req.GetKeepInvalid()), customer.CheckBirthday(given.GetBirthday(), s.now())...)
	if err := invalid("contact.", faults); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Contact, error) {
		if err := s.changeableByID(ctx, tx, customerID); err != nil {
			return nil, err
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		now := s.now()
		row := &db.Contact{ID: id, CustomerID: customerID, CreateTime: now, UpdateTime: now, Version: 1}
		row.Creator, row.CreateSource = authn.FromContext(ctx).Actor(), int16(req.GetSource())
		var b pg.Batch
		subject, err := s.keys.Create(ctx, &b, id)
		if err != nil {
			return nil, err
		}
		if err := s.fillContact(row, given, subject); err != nil {
			return nil, err
		}
		if err := s.q.InsertContact(ctx, &b, insertContact(row)); err != nil {
			return nil, err
		}
		if err := pg.Flush(ctx, tx, &b); err != nil {
			return nil, err
		}
		if err := s.refreshSearch(ctx, tx, customerID); err != nil {
			return nil, err
		}
		added := customer.Change{Field: fieldContacts, After: id.String()}
		if err := s.keepOfFile(ctx, tx, customerID, row.Version, []customer.Change{added}); err != nil {
			return nil, err
		}
		out, err := contactProto(row, pii.Subjects{id: subject})
		if err != nil {
			return nil, err
		}
		tx.AuditOf(customerID, "contact", id, out)
		return out, nil
	})
}

func completeContact(c *customerv1.Contact) {
	if c.GetLanguage() == "" {
		c.Language = rpcerr.Chinese
	}
}

// GetContact returns one contact and leaves a record of the read.
func (s *Server) GetContact(ctx context.Context, req *customerv1.GetContactRequest) (*customerv1.Contact, error) {
	customerID, id, err := contactIDs("customer_id", req.GetCustomerId(), "id", req.GetId())
	if err != nil {
		return nil, err
	}
	if own(ctx, customerID) != nil {
		return nil, contactNotFound(id)
	}
	_, verdict, err := s.openFile(ctx, customerID, waysThere)
	if err != nil {
		return nil, withoutCustomer(err, id)
	}
	row, err := s.q.GetContact(ctx, s.pool, id, customerID)
	if err != nil {
		return nil, missingContact(err, id)
	}
	read := s.reading(ctx, verdict, "contact", id, customerID)
	found, err := s.contacts(ctx, read.Few(), []db.Contact{row})
	if err != nil {
		return nil, err
	}
	return contactsForVisit(verdict, found)[0], read.Done(ctx)
}

// ListContacts lists the contacts of a customer in the order they were added.
func (s *Server) ListContacts(ctx context.Context, req *customerv1.ListContactsRequest) (*customerv1.ListContactsResponse, error) {
	customerID, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	_, verdict, err := s.openFile(ctx, customerID, waysThere)
	if err != nil {
		return nil, err
	}
	after, err := s.idCursor(ctx, req, req.GetPageToken(), uuid.Nil)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	read := s.reading(ctx, verdict, "customer", customerID, customerID)
	rows, err := s.q.ListContacts(ctx, read, customerID, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.Contact) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListContactsResponse{NextPageToken: next}
	if out.Contacts, err = s.contacts(ctx, s.pool, rows); err != nil {
		return nil, err
	}
	out.Contacts = contactsForVisit(verdict, out.GetContacts())
	return out, read.Done(ctx)
}

// contacts decrypts rows.
func (s *Server) contacts(ctx context.Context, on pg.DBTX, rows []db.Contact) ([]*customerv1.Contact, error) {
	ids := make([]uuid.UUID, 0, len(rows))
	for i := range rows {
		ids = append(ids, rows[i].ID)
	}
	keys, err := s.keys.Subjects(ctx, on, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]*customerv1.Contact, 0, len(rows))
	for i := range rows {
		c, err := contactProto(&rows[i], keys)
		if err != nil {
			return nil, err
		}
		hideSetters(ctx, c.GetFieldStates())
		out = append(out, c)
	}
	return out, nil
}

// UpdateContact changes the fields that the mask names.
func (s *Server) UpdateContact(ctx context.Context, req *customerv1.UpdateContactRequest) (*customerv1.Contact, error) {
	given := req.GetContact()
	customerID, id, err := contactIDs("contact.customer_id", given.GetCustomerId(), "contact.id", given.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Contact, error) {
		row, err := s.lockOpenContact(ctx, tx, customerID, id, given.GetEtag(), s.changeableByID)
		if err != nil {
			return nil, err
		}
		change, err := s.changeOf(ctx, tx, row, given, req.GetUpdateMask(), req.GetKeepInvalid())
		if err != nil {
			return nil, err
		}
		if proto.Equal(change.before, change.after) {
			tx.Unchanged()
			return change.before, nil
		}
		return s.changeContact(ctx, tx, row, change, req.GetSource())
	})
}

// contactChange is a contact before and after a change, and its key.
type contactChange struct {
	subject       *pii.Subject
	before, after *customerv1.Contact
}

// changeOf is what a row becomes with the fields that the mask names.
func (s *Server) changeOf(ctx context.Context, on pg.DBTX, row *db.Contact, given *customerv1.Contact, mask *fieldmaskpb.FieldMask, keep bool) (c contactChange, err error) {
	if c.subject, err = s.keys.Subject(ctx, on, row.ID); err != nil {
		return c, err
	}
	if c.before, err = contactProto(row, pii.Subjects{row.ID: c.subject}); err != nil {
		return c, err
	}
	c.after, err = s.mergeContact(c.before, given, mask, keep)
	return c, err
}

// changeContact writes a changed contact to the locked row, and to the history what changed.
func (s *Server) changeContact(ctx context.Context, tx *write.Tx, row *db.Contact, change contactChange, source customerv1.ValueSource) (*customerv1.Contact, error) {
	if err := s.fillContact(row, change.after, change.subject); err != nil {
		return nil, err
	}
	by, changes := s.origin(ctx, source), customer.Diff(change.before, change.after)
	kept, err := fieldStates(row.ID, row.FieldStates)
	if err != nil {
		return nil, err
	}
	if err := s.storeContact(ctx, tx, row, customer.Changed(kept, changes, by)); err != nil {
		return nil, err
	}
	if change.before.GetName() != change.after.GetName() {
		if err := s.refreshSearch(ctx, tx, row.CustomerID); err != nil {
			return nil, err
		}
	}
	if err := s.keepChanges(ctx, tx, trail{change.subject, row.CustomerID, &row.ID, row.Version}, changes, by); err != nil {
		return nil, err
	}
	out, err := contactProto(row, pii.Subjects{row.ID: change.subject})
	if err != nil {
		return nil, err
	}
	tx.AuditOf(row.CustomerID, "contact", row.ID, out)
	return out, nil
}

// storeContact writes the locked row, with the origins of its values.
func (s *Server) storeContact(ctx context.Context, tx *write.Tx, row *db.Contact, states *customerv1.FieldStates) (err error) {
	if row.FieldStates, err = proto.Marshal(states); err != nil {
		return fmt.Errorf("encode field states: %w", err)
	}
	row.VerifiedPoints = int16(customer.VerifiedPoints(states))
	row.UpdateTime, row.Version = s.now(), row.Version+1
	if err := s.q.UpdateContact(ctx, tx, updateContact(row)); err != nil {
		return fmt.Errorf("update contact: %w", err)
	}
	return nil
}

func (s *Server) mergeContact(before, given *customerv1.Contact, mask *fieldmaskpb.FieldMask, keep bool) (*customerv1.Contact, error) {
	after := proto.CloneOf(before)
	if err := fieldmask.Apply(after, given, mask, "id", "customer_id"); err != nil {
		return nil, err
	}
	completeContact(after)
	check := &customerv1.CreateContactRequest{CustomerId: before.GetCustomerId(), Contact: after}
	if err := rpc.Check(s.validator, check); err != nil {
		return nil, err
	}
	faults := customer.PointsOfContact(after).Renormalize(customer.PointsOfContact(before), s.region, keep)
	return after, invalid("contact.", append(faults, customer.CheckBirthday(after.GetBirthday(), s.now())...))
}

// DeleteContact removes a contact: nobody can read their data afterwards, from
// the table or from a backup.
func (s *Server) DeleteContact(ctx context.Context, req *customerv1.DeleteContactRequest) (*emptypb.Empty, error) {
	customerID, id, err := contactIDs("customer_id", req.GetCustomerId(), "id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*emptypb.Empty, error) {
		row, err := s.lockOpenContact(ctx, tx, customerID, id, req.GetEtag(), s.writableByID)
		if err != nil {
			return nil, err
		}
		if err := s.q.EraseContact(ctx, tx, s.now(), id); err != nil {
			return nil, fmt.Errorf("erase contact: %w", err)
		}
		if err := s.refreshSearch(ctx, tx, customerID); err != nil {
			return nil, err
		}
		if err := s.keys.Shred(ctx, tx, id); err != nil {
			return nil, err
		}
		removed := customer.Change{Field: fieldContacts, Before: id.String()}
		if err := s.keepOfFile(ctx, tx, customerID, row.Version+1, []customer.Change{removed}); err != nil {
			return nil, withoutCustomer(err, id)
		}
		tx.AuditOf(customerID, "contact", id, map[string]any{"deleted": true})
		return &emptypb.Empty{}, nil
	})
}

func (s *Server) lockContact(ctx context.Context, tx *write.Tx, customerID, id uuid.UUID) (*db.Contact, error) {
	row, err := s.q.LockContact(ctx, tx, id, customerID)
	if err != nil {
		return nil, missingContact(err, id)
	}
	return &row, nil
}

// lockOpenContact locks a contact of a customer who is open to the caller, and refuses a stale
// etag after that.
func (s *Server) lockOpenContact(ctx context.Context, tx *write.Tx, customerID, id uuid.UUID, given string, open func(context.Context, pg.DBTX, uuid.UUID) error) (*db.Contact, error) {
	row, err := s.lockContact(ctx, tx, customerID, id)
	if err != nil {
		return nil, err
	}
	if err := open(ctx, tx, customerID); err != nil {
		return nil, err
	}
	return row, current(given, row.Version, "contact", id)
}

func contactIDs(customerField, customerID, field, id string) (uuid.UUID, uuid.UUID, error) {
	owner, err := parseID(customerField, customerID)
	if err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	contact, err := parseID(field, id)
	return owner, contact, err
}

// withoutCustomer says of a contact whose customer is not there that it is not there.
func withoutCustomer(err error, id uuid.UUID) error {
	if rpcerr.Reason(err) == "CUSTOMER_NOT_FOUND" {
		return contactNotFound(id)
	}
	return err
}

func contactNotFound(id uuid.UUID) error { return rpcerr.NotFound("contact", id.String()) }

func missingContact(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return contactNotFound(id)
	}
	return fmt.Errorf("read contact: %w", err)
}
