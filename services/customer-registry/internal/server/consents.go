package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/consent"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// ListConsents lists every decision of a customer, newest first.
func (s *Server) ListConsents(ctx context.Context, req *customerv1.ListConsentsRequest) (*customerv1.ListConsentsResponse, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	if err := own(ctx, id); err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil {
			return nil, fmt.Errorf("cursor of a page token: %w", err)
		}
	}
	if err := s.exists(ctx, s.pool, id); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListConsentHistory(ctx, s.pool, id, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.Consent) string { return strconv.FormatInt(r.Version, 10) })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListConsentsResponse{NextPageToken: next}
	for i := range rows {
		out.Consents = append(out.Consents, consentProto(&rows[i]))
	}
	hideRecorders(ctx, out.GetConsents())
	return out, nil
}

// hideRecorders keeps from customers which member of staff wrote their decision down.
func hideRecorders(ctx context.Context, consents []*customerv1.Consent) {
	if authn.FromContext(ctx).Kind == authn.Customer {
		for _, c := range consents {
			c.Recorder = ""
		}
	}
}

func consentProto(row *db.Consent) *customerv1.Consent {
	return &customerv1.Consent{
		Purpose: customerv1.ConsentPurpose(row.Purpose), Granted: row.Granted, DecideTime: timestamppb.New(row.DecideTime),
		Channel: typev1.Channel(row.Channel), WordingVersion: row.WordingVersion, Recorder: row.Recorder,
	}
}

// ReserveContact answers whether a message may be sent, and takes its place in the budget.
func (s *Server) ReserveContact(ctx context.Context, req *customerv1.ReserveContactRequest) (*customerv1.ContactReservation, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	contact, err := optionalID("contact_id", req.GetContactId())
	if err != nil {
		return nil, err
	}
	cause, err := optionalID("event_id", req.GetEventId())
	if err != nil {
		return nil, err
	}
	sender := authn.PeerService(ctx)
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.ContactReservation, error) {
		// The customer's lock puts the callers in a row, and after a decision on consent.
		row, err := s.lockSurvivor(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		earlier, err := s.q.FindReservation(ctx, tx, sender, req.GetRequestId())
		if err == nil {
			tx.Unchanged()
			return &customerv1.ContactReservation{Id: earlier.ID.String(), Granted: true}, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("find the reservation: %w", err)
		}
		to, err := s.recipient(ctx, tx, row, contact)
		if err != nil {
			return nil, err
		}
		return s.reserve(ctx, tx, &db.ContactReservation{
			CustomerID: row.ID, RecipientID: to.id, Kind: req.GetKind(), Purpose: int16(req.GetPurpose()),
			Channel: int16(req.GetChannel()), EventID: cause, Sender: sender, RequestID: req.GetRequestId(),
		}, to.Recipient)
	})
}

// lockSurvivor locks a customer, or the one it was merged into.
func (s *Server) lockSurvivor(ctx context.Context, tx *write.Tx, id uuid.UUID) (*db.Customer, error) {
	found, err := s.q.ResolveCustomer(ctx, tx, id)
	if err != nil {
		return nil, missingCustomer(err, id)
	}
	return s.lockCustomer(ctx, tx, found.Customer.ID, "")
}

// addressee is who would get a message.
type addressee struct {
	consent.Recipient
	id uuid.UUID
}

func (s *Server) recipient(ctx context.Context, tx *write.Tx, row *db.Customer, contact *uuid.UUID) (addressee, error) {
	if contact == nil {
		return addressee{id: row.ID, Recipient: consent.Recipient{HasPhone: row.Phone != nil && row.PhoneQuality == 0, HasEmail: row.Email != nil && row.EmailQuality == 0}}, nil
	}
	c, err := s.q.GetContact(ctx, tx, *contact, row.ID)
	if err != nil {
		return addressee{}, missingContact(err, *contact)
	}
	return addressee{id: c.ID, Recipient: consent.Recipient{HasPhone: c.Phone != nil && c.PhoneQuality == 0, HasEmail: c.Email != nil && c.EmailQuality == 0}}, nil
}

// reserve decides under the customer's lock, and stores what is granted.
func (s *Server) reserve(ctx context.Context, tx *write.Tx, row *db.ContactReservation, to consent.Recipient) (*customerv1.ContactReservation, error) {
	agreed, err := s.q.FindConsent(ctx, tx, row.CustomerID, row.Purpose)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	to.Decided, to.Agreed = err == nil, agreed
	if to.Last, err = s.q.LastReservation(ctx, tx, row.RecipientID, row.Kind); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read the contact budget: %w", err)
	}
	message := consent.Message{Purpose: consent.Purpose(row.Purpose), Channel: typev1.Channel(row.Channel)}
	if row.EventID != nil {
		message.Event = *row.EventID
		if to.Told, err = s.q.ReservedForEvent(ctx, tx, message.Event, row.RecipientID, row.Kind); err != nil {
			return nil, fmt.Errorf("read what was sent for the event: %w", err)
		}
	}
	now := s.now()
	held, free := consent.Judge(message, to, s.disclosure.ContactBudget, now)
	if held != consent.Send {
		tx.Unchanged()
		out := &customerv1.ContactReservation{HeldBack: held}
		if !free.IsZero() {
			out.BudgetTime = timestamppb.New(free)
		}
		return out, nil
	}
	if row.ID, err = newID(); err != nil {
		return nil, err
	}
	row.ReserveTime = now
	if err := s.q.InsertReservation(ctx, tx, db.InsertReservationParams(*row)); err != nil {
		return nil, fmt.Errorf("insert reservation: %w", err)
	}
	out := &customerv1.ContactReservation{Id: row.ID.String(), Granted: true}
	tx.Emit(event.Event{
		Type: "contact.reserved.v1", SubjectID: row.ID, SubjectVersion: 1, CustomerID: row.CustomerID,
		Payload: &customerv1.ContactReserved{Kind: row.Kind, Purpose: message.Purpose},
	})
	tx.Audit("contact_reservation", row.ID, out)
	return out, nil
}
