package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// typeAnswer is the event that says what a customer answered.
const typeAnswer = "answer.received.v1"

// HandleSurvey records the answer to a complaint's invitation as the customer's answer to
// the round it asked about. An answer that comes too late, rates nothing or is history
// changes nothing: the first answer of a round stands.
func (s *Server) HandleSurvey(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	if e.GetType() != typeAnswer || e.GetHistoric() {
		return nil
	}
	payload, err := event.Unpack[*surveyv1.AnswerReceived](e)
	if err != nil {
		return err
	}
	satisfaction, rated := complaint.Score(payload.GetScore(), s.limits)
	if payload.GetComplaintId() == "" || !rated {
		return nil
	}
	complaintID, err := uuid.Parse(payload.GetComplaintId())
	if err != nil {
		return fmt.Errorf("complaint of answer %s: %w", payload.GetAnswerId(), err)
	}
	answerID, err := uuid.Parse(payload.GetAnswerId())
	if err != nil {
		return fmt.Errorf("id of an answer: %w", err)
	}
	return write.Effect(ctx, s.write, tx, e, func(ctx context.Context, tx *write.Tx) error {
		a, err := s.awaiting(ctx, tx, complaintID, payload.GetRound())
		if err != nil {
			return err
		}
		if a == nil {
			tx.Unchanged()
			return nil
		}
		// The answer's clock is another machine's: it is never before the telling here.
		at := e.GetOccurTime().AsTime()
		if at.After(a.now) {
			at = a.now
		}
		if told := a.told(); at.Before(told) {
			at = told
		}
		a.answer(satisfaction, typev1.Channel_CHANNEL_WEB, at)
		a.round.SurveyAnswerID = &answerID
		_, err = s.finish(ctx, a)
		return err
	})
}

// awaiting locks a complaint if it waits for an answer in that round; nil otherwise.
func (s *Server) awaiting(ctx context.Context, tx *write.Tx, complaintID uuid.UUID, round int32) (*action, error) {
	c, err := s.q.GetComplaint(ctx, tx, complaintID)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read complaint: %w", err)
	}
	if !waits(c, round) {
		return nil, nil
	}
	a, err := s.lock(ctx, tx, complaintID)
	if err != nil {
		return nil, err
	}
	answered := a.round.Satisfaction != int16(complaintv1.Satisfaction_SATISFACTION_UNSPECIFIED)
	if !waits(a.c, round) || answered {
		return nil, nil
	}
	a.who.Actor = authn.FromContext(ctx).Actor()
	return a, a.to(complaint.Answer)
}

func waits(c db.Complaint, round int32) bool {
	return complaint.State(c.State) == complaint.Told && c.Round == round
}
