package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

// withdrawnReason stands in the invitations that end because consent did.
const withdrawnReason = "consent withdrawn"

// OnTicket asks the customer of a resolved ticket, and keeps who is on the staff. Of a ticket
// that follows up a low answer it keeps how it stands, and asks the questions of that answer again.
func (s *Server) OnTicket(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	if err := directory.Handle(ctx, tx, e); err != nil {
		return err
	}
	// Comments and the directory have payloads of their own.
	if e.GetType() != "ticket.resolved.v1" && !e.GetPayload().MessageIs((*ticketv1.TicketChanged)(nil)) {
		return nil
	}
	payload, err := event.Unpack[*ticketv1.TicketChanged](e)
	if err != nil {
		return err
	}
	followsUp := payload.GetEvidenceAnswerId() != ""
	if followsUp {
		if err := s.keepFollowUp(ctx, tx, e, payload); err != nil {
			return err
		}
	}
	if e.GetType() != "ticket.resolved.v1" || e.GetHistoric() || e.GetCustomerId() == "" {
		return nil
	}
	if err := s.keepHandler(ctx, tx, e, payload.GetAssigneeStaffId()); err != nil {
		return err
	}
	if followsUp {
		return s.askAgain(ctx, tx, e, payload)
	}
	return s.ask(ctx, tx, e, surveyv1.Trigger_TRIGGER_TICKET_RESOLVED, payload.GetRound())
}

// OnComplaint asks the customer who was told the result of a complaint.
func (s *Server) OnComplaint(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	if e.GetType() != "complaint.told.v1" || e.GetHistoric() || e.GetCustomerId() == "" {
		return nil
	}
	payload, err := event.Unpack[*complaintv1.ComplaintChanged](e)
	if err != nil {
		return err
	}
	if err := s.keepHandler(ctx, tx, e, payload.GetHandlerStaffId()); err != nil {
		return err
	}
	return s.ask(ctx, tx, e, surveyv1.Trigger_TRIGGER_COMPLAINT_TOLD, payload.GetRound())
}

// ask keeps that an event causes an invitation, or says in the log why not. It is made when
// the registry has said that the customer may be written to.
func (s *Server) ask(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, trigger surveyv1.Trigger, round int32) error {
	sent, err := s.triggered(ctx, tx, e, trigger)
	if err != nil || sent == nil {
		return err
	}
	return s.askOf(ctx, tx, e, *sent, round, s.moment())
}

// askOf keeps that an event about a ticket or complaint causes an invitation to a questionnaire,
// to be made at a time.
func (s *Server) askOf(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, sent db.Questionnaire, round int32, at time.Time) error {
	row, err := s.caused(ctx, tx, e, sent, at)
	if err != nil {
		return err
	}
	subject, err := uuid.Parse(e.GetSubjectId())
	if err != nil {
		return fmt.Errorf("subject of event %s: %w", e.GetId(), err)
	}
	if row.Round = round; e.GetType() == "complaint.told.v1" {
		row.ComplaintID = &subject
	} else {
		row.TicketID = &subject
	}
	asked, err := s.queries.WasAsked(ctx, tx, row.TicketID, round, row.ComplaintID)
	if err != nil {
		return fmt.Errorf("look for the round's invitation: %w", err)
	}
	made := int64(0)
	if !asked {
		if made, err = s.queries.InsertDueInvitation(ctx, tx, *row); err != nil {
			return fmt.Errorf("insert due invitation: %w", err)
		}
	}
	if made == 0 {
		s.notAsked(ctx, e, "the customer was asked about this round already")
	}
	return nil
}

// triggered gives the questionnaire that a trigger sends; nil when there is none.
func (s *Server) triggered(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, trigger surveyv1.Trigger) (*db.Questionnaire, error) {
	sent, err := s.queries.GetTriggeredQuestionnaire(ctx, tx, int16(trigger))
	if errors.Is(err, pgx.ErrNoRows) {
		s.notAsked(ctx, e, "no published questionnaire has this trigger")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read questionnaire: %w", err)
	}
	return &sent, nil
}

// caused prepares the invitation of an event.
func (s *Server) caused(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, sent db.Questionnaire, at time.Time) (*db.InsertDueInvitationParams, error) {
	cause, err := uuid.Parse(e.GetId())
	if err != nil {
		return nil, fmt.Errorf("id of an event: %w", err)
	}
	customerID, err := uuid.Parse(e.GetCustomerId())
	if err != nil {
		return nil, fmt.Errorf("customer of event %s: %w", e.GetId(), err)
	}
	customer, err := customerref.Get(ctx, tx, customerID)
	if errors.Is(err, customerref.ErrUnknown) {
		s.missing.add(customerID)
		return nil, fmt.Errorf("customer %s of event %s: %w", customerID, e.GetId(), err)
	}
	if err != nil {
		return nil, err
	}
	return &db.InsertDueInvitationParams{
		EventID: cause, EventType: e.GetType(), RequestID: e.GetRequestId(),
		QuestionnaireID: sent.ID, QuestionnaireVersion: sent.PublishedVersion, CustomerID: customer.ID,
		Language: languageOf(customer), NextTime: at,
	}, nil
}

func (s *Server) notAsked(ctx context.Context, e *eventv1.Envelope, why string) {
	s.log.InfoContext(ctx, "customer not asked", "event", e.GetId(), "type", e.GetType(),
		"subject", e.GetSubjectId(), "customer", e.GetCustomerId(), "reason", why)
}

// OnCustomer keeps what is known of customers, and revokes the pending invitations of one
// who withdrew the consent that they rest on: all of them with the one to service quality,
// with the one to surveys those that no service caused.
func (s *Server) OnCustomer(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	if err := customerref.Handle(ctx, tx, e); err != nil {
		return err
	}
	switch e.GetType() {
	case customerref.TypeChanged:
	case "order.recorded.v1":
		return s.onOrder(ctx, tx, e)
	default:
		return nil
	}
	id, err := uuid.Parse(e.GetSubjectId())
	if err != nil {
		return fmt.Errorf("subject of event %s: %w", e.GetId(), err)
	}
	// What is stored may be newer than the event.
	consents, err := s.queries.LockConsent(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("read consent: %w", err)
	}
	withdrawn, err := s.decided(ctx, tx, e, id)
	switch {
	case err != nil:
		return err
	case !consents:
		return s.revokeAll(ctx, tx, e, id, s.queries.LockPendingOfCustomer)
	case withdrawn:
		return s.revokeAll(ctx, tx, e, id, s.queries.LockPendingByHand)
	}
	return nil
}

// decided keeps the decision on surveys that an event carries, and tells whether consent to
// them is withdrawn since.
func (s *Server) decided(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, customer uuid.UUID) (bool, error) {
	payload, err := event.Unpack[*customerv1.CustomerChanged](e)
	if err != nil {
		return false, err
	}
	decision := payload.GetDecision()
	if decision.GetPurpose() != surveys {
		return false, nil
	}
	if err := s.queries.KeepSurveyConsent(ctx, tx, customer, decision.GetGranted(), e.GetSubjectVersion()); err != nil {
		return false, fmt.Errorf("keep the consent to surveys: %w", err)
	}
	withdrawn, err := s.queries.HasWithdrawnSurveys(ctx, tx, customer)
	if err != nil {
		return false, fmt.Errorf("read the consent to surveys: %w", err)
	}
	return withdrawn, nil
}

func (s *Server) revokeAll(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, customer uuid.UUID, lock func(context.Context, db.DBTX, uuid.UUID) ([]db.Invitation, error)) error {
	rows, err := lock(ctx, tx, customer)
	if err != nil {
		return fmt.Errorf("read pending invitations: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	return write.Effect(ctx, s.write, tx, e, func(ctx context.Context, tx *write.Tx) error {
		for _, row := range rows {
			if err := s.settle(ctx, tx, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle revokes a pending invitation, or lets it expire where its time is over. What was filled
// in and not sent goes with the consent.
func (s *Server) settle(ctx context.Context, tx *write.Tx, row db.Invitation) error {
	if _, possible := invitation.Next(stateOf(row), row.ExpireTime, s.now(), invitation.Revoke); !possible {
		return s.lapse(ctx, tx, row)
	}
	row, err := s.end(ctx, tx, row, invitation.Revoked, withdrawnReason, nil)
	if err != nil {
		return err
	}
	recordInvitation(tx, "invitation.revoked.v1", row, withdrawnReason)
	return nil
}

// missing are customers that an event named before the registry's own event came. A
// consumer must not call another service in its transaction, so it notes the customer,
// fails, and is tried again; meanwhile FetchMissing asks the registry. What is noted is
// lost with the process, and noted again at the next try.
type missing struct {
	mu    *sync.Mutex
	ids   map[uuid.UUID]bool
	added chan struct{}
}

func newMissing() missing {
	return missing{mu: new(sync.Mutex), ids: map[uuid.UUID]bool{}, added: make(chan struct{}, 1)}
}

func (m *missing) add(id uuid.UUID) {
	m.mu.Lock()
	m.ids[id] = true
	m.mu.Unlock()
	select {
	case m.added <- struct{}{}:
	default:
	}
}

func (m *missing) take() []uuid.UUID {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(m.ids))
	for id := range m.ids {
		ids = append(ids, id)
	}
	clear(m.ids)
	return ids
}

// FetchMissing asks the registry for noted customers until ctx ends.
func (s *Server) FetchMissing(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.missing.added:
		}
		for _, id := range s.missing.take() {
			// Not found, or not reachable: the event's next try notes it again.
			if _, err := customerref.Ensure(ctx, s.pool, id, "customer_id", s.registry); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "customer of an event is not known yet", "customer", id, "error", err)
			}
		}
	}
}
