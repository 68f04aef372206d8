package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/event"
)

// ofFirstUse names the asking about a first delivery to the registry: the same event may ask
// about the delivery itself.
var ofFirstUse = uuid.MustParse("01900000-0000-7000-8000-00000000f125")

// onOrder asks about a delivery, and whom it makes a customer some time later what they think of
// what they bought. An order that is recorded again is asked about once.
func (s *Server) onOrder(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	payload, err := event.Unpack[*customerv1.OrderRecorded](e)
	if err != nil || payload.GetDeliveryTime() == nil || e.GetCustomerId() == "" {
		return err
	}
	customer, err := uuid.Parse(e.GetCustomerId())
	if err != nil {
		return fmt.Errorf("customer of event %s: %w", e.GetId(), err)
	}
	order, err := uuid.Parse(e.GetSubjectId())
	if err != nil {
		return fmt.Errorf("subject of event %s: %w", e.GetId(), err)
	}
	delivered := payload.GetDeliveryTime().AsTime()
	// History counts too: whoever bought before is no new customer.
	first, err := s.queries.KeepFirstDelivery(ctx, tx, customer, order, delivered)
	if err != nil {
		return fmt.Errorf("keep first delivery: %w", err)
	}
	if e.GetHistoric() {
		return nil
	}
	if err := s.askAbout(ctx, tx, e, surveyv1.Trigger_TRIGGER_PRODUCT_DELIVERED, order, s.moment()); err != nil || first == 0 {
		return err
	}
	return s.askAbout(ctx, tx, e, surveyv1.Trigger_TRIGGER_FIRST_DELIVERY, customer, delivered.Add(s.firstUse))
}

// askAbout keeps that an event causes an invitation about an order or a customer, to be made at a
// time, or says in the log why not.
func (s *Server) askAbout(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, trigger surveyv1.Trigger, cause uuid.UUID, at time.Time) error {
	sent, err := s.triggered(ctx, tx, e, trigger)
	if err != nil || sent == nil {
		return err
	}
	row, err := s.caused(ctx, tx, e, *sent, at)
	if err != nil {
		return err
	}
	kind := int16(trigger)
	if row.CauseTrigger, row.CauseID = &kind, &cause; trigger == surveyv1.Trigger_TRIGGER_FIRST_DELIVERY {
		row.EventID = uuid.NewSHA1(ofFirstUse, row.EventID[:])
	}
	asked, err := s.queries.WasAskedAbout(ctx, tx, kind, cause)
	if err != nil {
		return fmt.Errorf("look for an earlier invitation: %w", err)
	}
	made := int64(0)
	if !asked {
		if made, err = s.queries.InsertDueInvitation(ctx, tx, *row); err != nil {
			return fmt.Errorf("insert due invitation: %w", err)
		}
	}
	if made == 0 {
		s.notAsked(ctx, e, "the customer was asked about this already")
	}
	return nil
}
