package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// SurveySource is the name of the service whose events HandleSurvey takes.
const SurveySource = "survey"

// HandleSurvey opens one follow-up ticket for each low answer. It is the Handle of an
// event.Consumer. History opens nothing.
func (s *Server) HandleSurvey(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope) error {
	if env.GetType() != "answer.received.v1" || env.GetHistoric() {
		return nil
	}
	answer, err := event.Unpack[*surveyv1.AnswerReceived](env)
	if err != nil || !answer.GetLow() {
		return err
	}
	origin, err := uuid.Parse(env.GetId())
	if err != nil {
		return fmt.Errorf("id of the event: %w", err)
	}
	_, err = s.q.GetTicketByOriginEvent(ctx, tx, &origin)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err // nil: the ticket is there
	}
	owner, err := s.answerer(ctx, tx, env.GetCustomerId())
	if err != nil {
		return err
	}
	return write.Effect(ctx, s.write, tx, env, func(ctx context.Context, tx *write.Tx) error {
		row, err := s.followUp(ctx, tx, owner, origin, answer)
		if err != nil {
			return err
		}
		// The text is the suite's own: what it is about and how pressing it is stand fixed.
		return s.open(ctx, tx, row, triageGiven{ticketv1.TicketType(row.Type), weightOf(row)}, reporter{})
	})
}

// answerer is the customer who answered, zero for none and for one the registry does not
// know: the follow-up is owed all the same.
func (s *Server) answerer(ctx context.Context, tx pgx.Tx, given string) (uuid.UUID, error) {
	id, err := parseOptional("customer_id", given)
	if err != nil || id == uuid.Nil {
		return uuid.Nil, err
	}
	ref, err := customerref.Ensure(ctx, tx, id, "customer_id", s.registry)
	var public *rpcerr.Error
	if errors.As(err, &public) && public.Code() == codes.InvalidArgument {
		return uuid.Nil, nil
	}
	return ref.ID, err
}

// followUp makes the row of a follow-up ticket.
func (s *Server) followUp(ctx context.Context, tx *write.Tx, owner, origin uuid.UUID, answer *surveyv1.AnswerReceived) (*db.Ticket, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := newRow(id, owner, &ticketv1.Ticket{
		Channel: typev1.Channel_CHANNEL_INTERNAL, Mode: ticketv1.Mode_MODE_PROACTIVE,
		Type: ticketv1.TicketType_TICKET_TYPE_FOLLOW_UP, Priority: ticketv1.Priority_PRIORITY_P2,
		Title: fmt.Sprintf("满意度回访 · Follow-up on a survey answer (%s: %d)", answer.GetLowQuestionKey(), answer.GetLowScore()),
	}, now)
	row.OriginEventID = &origin
	row.EvidenceQuestionKey, row.EvidenceScore = answer.GetLowQuestionKey(), answer.GetLowScore()
	for _, ref := range []struct {
		field, given string
		to           **uuid.UUID
	}{
		{"answer_id", answer.GetAnswerId(), &row.EvidenceAnswerID},
		{"ticket_id", answer.GetTicketId(), &row.EvidenceTicketID},
		{"complaint_id", answer.GetComplaintId(), &row.EvidenceComplaintID},
	} {
		given, err := parseOptional(ref.field, ref.given)
		if err != nil {
			return nil, err
		}
		*ref.to = idPtr(given)
	}
	st, err := s.policy.Apply(standing(row), ticket.Move{Verb: ticket.Create, At: now})
	if err != nil {
		return nil, err
	}
	stand(row, st)
	numbers, err := s.numbers(ctx, tx, 1, now)
	if err != nil {
		return nil, err
	}
	row.Number = numbers[0]
	return row, nil
}
