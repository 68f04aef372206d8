package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// GetAnswerForm gives the questions behind a link.
func (s *Server) GetAnswerForm(ctx context.Context, req *surveyv1.GetAnswerFormRequest) (*surveyv1.AnswerForm, error) {
	row, err := s.queries.GetInvitationByLink(ctx, s.pool, s.links.hash(req.GetToken()))
	if err := s.answerable(row, err); err != nil {
		return nil, err
	}
	version, err := s.version(ctx, s.pool, row.QuestionnaireID, row.QuestionnaireVersion)
	if err != nil {
		return nil, err
	}
	version.Trigger = surveyv1.Trigger_TRIGGER_UNSPECIFIED
	return &surveyv1.AnswerForm{
		Questionnaire: version, Language: row.Language, ExpireTime: timestamppb.New(row.ExpireTime),
	}, nil
}

// answerable says why the row behind a link cannot be answered, if it cannot.
func (s *Server) answerable(row db.Invitation, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownLink()
	}
	if err != nil {
		return fmt.Errorf("read invitation: %w", err)
	}
	state, possible := invitation.Next(stateOf(row), row.ExpireTime, s.now(), invitation.Answer)
	if possible {
		return nil
	}
	switch state {
	case invitation.Answered:
		return rpcerr.WrongState("INVITATION_ANSWERED", rpcerr.T(
			"This link was answered already; an answer is given once.", "该链接已作答；每个链接只能回答一次。"))
	case invitation.Revoked:
		return rpcerr.WrongState("INVITATION_REVOKED", rpcerr.T(
			"This invitation was withdrawn; no answer is needed.", "该邀请已撤回，无需作答。"))
	}
	return rpcerr.WrongState("INVITATION_EXPIRED", rpcerr.T(
		"This link could be answered until %[1]s; ask for a new one.", "该链接的有效期截至 %[1]s；请索取新链接。",
		row.ExpireTime.UTC().Format(time.RFC3339)))
}

// SubmitAnswer keeps the answer of a link, once.
func (s *Server) SubmitAnswer(ctx context.Context, req *surveyv1.SubmitAnswerRequest) (*surveyv1.AnswerReceipt, error) {
	hash := s.links.hash(req.GetToken())
	return write.Do(ctx, s.write, ofLink{SubmitAnswerRequest: req, hash: hash}, func(ctx context.Context, tx *write.Tx) (*surveyv1.AnswerReceipt, error) {
		row, err := s.queries.LockInvitationByLink(ctx, tx, hash)
		if err := s.answerable(row, err); err != nil {
			return nil, err
		}
		version, err := s.version(ctx, tx, row.QuestionnaireID, row.QuestionnaireVersion)
		if err != nil {
			return nil, err
		}
		if faults := questionnaire.CheckAnswer(version, req.GetResponses()); len(faults) > 0 {
			return nil, faulty(codes.InvalidArgument, "ANSWER_INVALID", "", answerLead(), faults)
		}
		answer, err := s.insertAnswer(ctx, tx, row, version, req.GetResponses())
		if err != nil {
			return nil, err
		}
		if row, err = s.end(ctx, tx, row, invitation.Answered, "", &answer.ID); err != nil {
			return nil, err
		}
		recordInvitation(tx, "invitation.answered.v1", row, "")
		return &surveyv1.AnswerReceipt{AnswerId: answer.ID.String(), AnswerTime: timestamppb.New(answer.AnswerTime)}, nil
	})
}

func answerLead() rpcerr.Text {
	return rpcerr.T("The answer does not fit the questions", "回答与问题不符")
}

func (s *Server) insertAnswer(ctx context.Context, tx *write.Tx, asked db.Invitation, version *surveyv1.Questionnaire, responses []*surveyv1.Response) (db.Answer, error) {
	id, err := newID()
	if err != nil {
		return db.Answer{}, err
	}
	score := s.low.Score(version, responses)
	row := db.Answer{
		ID: id, QuestionnaireID: asked.QuestionnaireID, QuestionnaireVersion: asked.QuestionnaireVersion,
		InvitationID: &asked.ID, CustomerID: &asked.CustomerID, TicketID: asked.TicketID, ComplaintID: asked.ComplaintID,
		Round: asked.Round, Score: int16(score.First), Low: score.Low, AnswerTime: s.moment(), InviteTime: &asked.CreateTime,
	}
	// A clock that went back must not make an answer that came before its question.
	if row.AnswerTime.Before(asked.CreateTime) {
		row.AnswerTime = asked.CreateTime
	}
	err = s.queries.InsertAnswer(ctx, tx, db.InsertAnswerParams{
		ID: row.ID, QuestionnaireID: row.QuestionnaireID, QuestionnaireVersion: row.QuestionnaireVersion,
		InvitationID: row.InvitationID, CustomerID: row.CustomerID, TicketID: row.TicketID, ComplaintID: row.ComplaintID,
		Round: row.Round, Score: row.Score, Low: row.Low, AnswerTime: row.AnswerTime, InviteTime: row.InviteTime,
	})
	if err != nil {
		return row, fmt.Errorf("insert answer: %w", err)
	}
	batch := responseRows(row.QuestionnaireID, row.QuestionnaireVersion)
	addResponses(&batch, row.ID, responses)
	if err := s.insertResponses(ctx, tx, batch, []uuid.UUID{row.ID}); err != nil {
		return row, err
	}
	recordAnswer(tx, row, score, responses, false)
	return row, nil
}

// recordAnswer says that an answer is kept.
func recordAnswer(tx *write.Tx, row db.Answer, score questionnaire.Score, responses []*surveyv1.Response, historic bool) {
	tx.Emit(event.Event{
		Type: "answer.received.v1", SubjectID: row.ID, SubjectVersion: 1, CustomerID: uuidOf(row.CustomerID),
		OccurTime: row.AnswerTime, Historic: historic,
		Payload: &surveyv1.AnswerReceived{
			AnswerId: row.ID.String(), QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion,
			InvitationId: text(row.InvitationID), TicketId: text(row.TicketID), ComplaintId: text(row.ComplaintID),
			Round: row.Round, Score: score.First, Low: score.Low, LowQuestionKey: score.LowQuestion, LowScore: score.LowScore,
		},
	})
	tx.Audit("answer", row.ID, &surveyv1.Answer{
		QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion, Responses: responses,
		Source: value(row.Source), ExternalId: value(row.ExternalID),
	})
}

func responseRows(questionnaireID uuid.UUID, version int32) db.InsertResponsesParams {
	return db.InsertResponsesParams{QuestionnaireID: questionnaireID, QuestionnaireVersion: version}
}

// insertResponses keeps the responses of answers, and with them the rows that analyses count.
func (s *Server) insertResponses(ctx context.Context, tx *write.Tx, batch db.InsertResponsesParams, answers []uuid.UUID) error {
	if err := s.queries.InsertResponses(ctx, tx, batch); err != nil {
		return fmt.Errorf("insert responses: %w", err)
	}
	if err := s.queries.InsertAnswerScores(ctx, tx, answers); err != nil {
		return fmt.Errorf("insert scores: %w", err)
	}
	return nil
}

// noScore stands for a response without a score: the columns of a batch hold no nulls.
const noScore = -1

// addResponses adds responses that fit their questions.
func addResponses(batch *db.InsertResponsesParams, answer uuid.UUID, responses []*surveyv1.Response) {
	for i, response := range responses {
		score := int16(noScore)
		if given, ok := response.GetValue().(*surveyv1.Response_Score); ok {
			score = int16(given.Score)
		}
		batch.AnswerIds = append(batch.AnswerIds, answer)
		batch.Places = append(batch.Places, int16(i))
		batch.QuestionKeys = append(batch.QuestionKeys, response.GetQuestionKey())
		batch.Scores = append(batch.Scores, score)
		batch.Choices = append(batch.Choices, response.GetChoice())
		batch.Bodies = append(batch.Bodies, response.GetText())
	}
}
