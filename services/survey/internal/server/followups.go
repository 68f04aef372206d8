package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// followUpLimit is how long after a low answer its follow-up must be open.
const followUpLimit = time.Hour

// keepFollowUp keeps how a ticket that a low answer opened stands.
func (s *Server) keepFollowUp(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, payload *ticketv1.TicketChanged) error {
	answer, err := uuid.Parse(payload.GetEvidenceAnswerId())
	if err != nil {
		return fmt.Errorf("answer of event %s: %w", e.GetId(), err)
	}
	ticket, err := uuid.Parse(e.GetSubjectId())
	if err != nil {
		return fmt.Errorf("subject of event %s: %w", e.GetId(), err)
	}
	p := db.KeepFollowUpParams{TicketID: ticket, AnswerID: answer, Number: payload.GetNumber(), State: int16(payload.GetStateAfter()), Version: e.GetSubjectVersion()}
	at := e.GetOccurTime().AsTime()
	switch e.GetType() {
	case "ticket.created.v1":
		p.OpenTime = &at
	case "ticket.resolved.v1":
		p.ResolveTime = &at
	}
	if err := s.queries.KeepFollowUp(ctx, tx, p); err != nil {
		return fmt.Errorf("keep follow-up: %w", err)
	}
	return nil
}

// askAgain asks the questionnaire of a low answer once more, some time after its follow-up was
// resolved.
func (s *Server) askAgain(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, payload *ticketv1.TicketChanged) error {
	first, err := s.queries.GetAnswer(ctx, tx, uuid.MustParse(payload.GetEvidenceAnswerId()))
	if errors.Is(err, pgx.ErrNoRows) {
		s.notAsked(ctx, e, "the answer that the ticket follows up is not known here")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	sent, err := s.queries.GetQuestionnaire(ctx, tx, first.QuestionnaireID)
	if err != nil {
		return fmt.Errorf("read questionnaire: %w", err)
	}
	return s.askOf(ctx, tx, e, sent, payload.GetRound(), s.moment().Add(s.again))
}

// GetAnswerTrace shows what followed on an answer.
func (s *Server) GetAnswerTrace(ctx context.Context, req *surveyv1.GetAnswerTraceRequest) (*surveyv1.AnswerTrace, error) {
	questionnaireID, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	id, err := parse("answer_id", req.GetAnswerId())
	if err != nil {
		return nil, err
	}
	row, err := s.queries.GetAnswer(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && row.QuestionnaireID != questionnaireID {
		return nil, rpcerr.NotFound("answer", id.String())
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	answers, err := s.withResponses(ctx, s.pool, []db.Answer{row})
	if err != nil {
		return nil, err
	}
	version, err := s.version(ctx, s.pool, row.QuestionnaireID, row.QuestionnaireVersion)
	if err != nil {
		return nil, err
	}
	score := s.low.Score(version, answers[0].GetResponses())
	out := &surveyv1.AnswerTrace{
		AnswerId: id.String(), CustomerId: text(row.CustomerID), Low: row.Low, AnswerTime: timestamppb.New(row.AnswerTime),
	}
	if row.Low {
		out.QuestionKey, out.Score, out.DueTime = score.LowQuestion, score.LowScore, timestamppb.New(row.AnswerTime.Add(followUpLimit))
	}
	tickets, err := s.queries.ListFollowUps(ctx, s.pool, id)
	if err != nil {
		return nil, fmt.Errorf("list follow-ups: %w", err)
	}
	for _, ticket := range tickets {
		followUp := &surveyv1.FollowUp{
			TicketId: ticket.TicketID.String(), Number: ticket.Number, OpenTime: instant(ticket.OpenTime), ResolveTime: instant(ticket.ResolveTime),
			InTime: ticket.OpenTime != nil && !ticket.OpenTime.After(row.AnswerTime.Add(followUpLimit)),
		}
		if followUp.Askings, err = s.askings(ctx, ticket.TicketID, out.GetQuestionKey()); err != nil {
			return nil, err
		}
		out.FollowUps = append(out.FollowUps, followUp)
	}
	return out, nil
}

// askings are those after a follow-up, with what was answered to the question this time.
func (s *Server) askings(ctx context.Context, ticket uuid.UUID, question string) ([]*surveyv1.SecondAsking, error) {
	rows, err := s.queries.ListInvitationsAgain(ctx, s.pool, ticket)
	if err != nil {
		return nil, fmt.Errorf("list second askings: %w", err)
	}
	var out []*surveyv1.SecondAsking
	for _, row := range rows {
		asking := &surveyv1.SecondAsking{
			InvitationId: row.ID.String(), State: invitation.At(stateOf(row), row.ExpireTime, s.now()), AnswerId: text(row.AnswerID),
		}
		out = append(out, asking)
		if row.AnswerID == nil {
			continue
		}
		asking.AnswerTime = instant(row.EndTime)
		answer, err := s.queries.GetAnswer(ctx, s.pool, *row.AnswerID)
		if err != nil {
			return nil, fmt.Errorf("read second answer: %w", err)
		}
		answers, err := s.withResponses(ctx, s.pool, []db.Answer{answer})
		if err != nil {
			return nil, err
		}
		if given, ok := questionnaire.FlatScores(answers[0].GetResponses())[question]; ok {
			asking.Score = &given
		}
	}
	return out, nil
}
