package server

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// SubmitAnswer keeps the answer of a link, once: what is given now and, for the other questions,
// what was saved. What answers a question that is not shown is left out.
func (s *Server) SubmitAnswer(ctx context.Context, req *surveyv1.SubmitAnswerRequest) (*surveyv1.AnswerReceipt, error) {
	hash := s.links.hash(req.GetToken())
	return write.Do(ctx, s.write, linked(req, hash), func(ctx context.Context, tx *write.Tx) (*surveyv1.AnswerReceipt, error) {
		row, err := s.queries.LockInvitationByLink(ctx, tx, hash)
		if err := s.answerable(ctx, tx, row, err); err != nil {
			return nil, err
		}
		f, err := s.openForm(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		faults := f.take(req.GetResponses(), req.GetClearedQuestions())
		kept, dropped, lacking := f.complete()
		if faults = append(faults, lacking...); len(faults) > 0 {
			return nil, invalidAnswer(faults)
		}
		answer, err := s.keep(ctx, tx, f, kept, entry{channel: surveyv1.AnswerChannel_ANSWER_CHANNEL_LINK, at: s.moment()})
		if err != nil {
			return nil, err
		}
		return answer.receipt(f.version, dropped), nil
	})
}

// entry is how an answer came.
type entry struct {
	channel surveyv1.AnswerChannel
	// actor entered it for the customer; nil where the customer did.
	actor         *string
	at            time.Time
	late, partial bool
}

// keptAnswer is an answer that is stored; what stands in it of an anonymous one tells nothing of
// its customer.
type keptAnswer struct {
	db.Answer
	received time.Time
}

// receipt confirms an answer to whoever gave it. An anonymous one is not named: its id would lead
// from the caller to it.
func (k keptAnswer) receipt(version *surveyv1.Questionnaire, dropped []string) *surveyv1.AnswerReceipt {
	out := &surveyv1.AnswerReceipt{AnswerTime: timestamppb.New(k.received), DroppedQuestions: dropped}
	if !k.Anonymous {
		out.AnswerId = k.ID.String()
	}
	if thanks := version.GetThanks(); thanks != nil {
		out.Thanks = proto.CloneOf(thanks)
		questionnaire.Fill(out.Thanks)
	}
	return out
}

// keep stores the one answer to a locked invitation, and ends the invitation with it.
func (s *Server) keep(ctx context.Context, tx *write.Tx, f *form, responses []*surveyv1.Response, how entry) (keptAnswer, error) {
	answer, err := s.insertAnswer(ctx, tx, f, responses, how)
	if err != nil {
		return answer, err
	}
	named := &answer.ID
	if answer.Anonymous {
		named = nil
	}
	row, err := s.end(ctx, tx, f.invitation, invitation.Answered, "", named)
	if err != nil {
		return answer, err
	}
	recordInvitation(tx, "invitation.answered.v1", row, "")
	return answer, nil
}

// complete parts what is filled in into the answer and what is not shown, and tells what is
// required and lacks.
func (f *form) complete() (kept []*surveyv1.Response, dropped []string, lacking []questionnaire.Fault) {
	shown := f.shown()
	for _, response := range f.saved {
		if key := response.GetQuestionKey(); !slices.Contains(shown, key) {
			dropped = append(dropped, key)
			continue
		}
		kept = append(kept, response)
	}
	return kept, dropped, questionnaire.Missing(f.version, shown, questionnaire.ByQuestion(f.saved))
}

func invalidAnswer(faults []questionnaire.Fault) error {
	return faulty(codes.InvalidArgument, "ANSWER_INVALID", "",
		rpcerr.T("The answer does not fit the questions", "回答与问题不符"), faults)
}

func (s *Server) insertAnswer(ctx context.Context, tx *write.Tx, f *form, responses []*surveyv1.Response, how entry) (keptAnswer, error) {
	asked := f.invitation
	score := s.low.Score(f.version, responses)
	// A clock that went back must not make an answer that came before its question.
	if how.at.Before(asked.CreateTime) {
		how.at = asked.CreateTime
	}
	out := keptAnswer{received: how.at, Answer: db.Answer{
		QuestionnaireID: asked.QuestionnaireID, QuestionnaireVersion: asked.QuestionnaireVersion,
		InvitationID: &asked.ID, CustomerID: &asked.CustomerID, TicketID: asked.TicketID, ComplaintID: asked.ComplaintID,
		Round: asked.Round, Score: int16(score.First), Low: score.Low, AnswerTime: how.at, InviteTime: &asked.CreateTime,
		Channel: int16(how.channel), EnterActor: how.actor, Late: how.late, Partial: how.partial, RecordTime: s.moment(),
	}}
	var err error
	if out.ID, err = newID(); err != nil {
		return out, err
	}
	if f.version.GetAnonymous() {
		if out.Answer, err = anonymous(out.Answer); err != nil {
			return out, err
		}
	}
	row := out.Answer
	err = s.queries.InsertAnswer(ctx, tx, db.InsertAnswerParams{
		ID: row.ID, QuestionnaireID: row.QuestionnaireID, QuestionnaireVersion: row.QuestionnaireVersion,
		InvitationID: row.InvitationID, CustomerID: row.CustomerID, TicketID: row.TicketID, ComplaintID: row.ComplaintID,
		Round: row.Round, Score: row.Score, Low: row.Low, AnswerTime: row.AnswerTime, InviteTime: row.InviteTime,
		Channel: row.Channel, EnterActor: row.EnterActor, Late: row.Late, Partial: row.Partial, Anonymous: row.Anonymous,
		RecordTime: row.RecordTime,
	})
	if err != nil {
		return out, fmt.Errorf("insert answer: %w", err)
	}
	batch := responseRows(row.QuestionnaireID, row.QuestionnaireVersion)
	addResponses(&batch, row.ID, responses)
	if err := s.insertResponses(ctx, tx, batch, []uuid.UUID{row.ID}); err != nil {
		return out, err
	}
	// An event or audit record of an anonymous answer would stand beside that of its invitation.
	if !row.Anonymous {
		recordAnswer(tx, row, score, responses, false)
	}
	return out, nil
}

// anonymous cuts everything off an answer that leads to its customer. Its id is random, as one
// made of the time would tell when it came, and of the time the month is left.
func anonymous(row db.Answer) (db.Answer, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return row, fmt.Errorf("draw an id: %w", err)
	}
	at := row.AnswerTime.UTC()
	month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return db.Answer{
		ID: id, QuestionnaireID: row.QuestionnaireID, QuestionnaireVersion: row.QuestionnaireVersion, Score: row.Score, Low: row.Low,
		AnswerTime: month, RecordTime: month, Channel: row.Channel, Partial: row.Partial, Anonymous: true,
	}, nil
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
			Partial: row.Partial,
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

// addResponses adds responses that fit their questions, of a matrix one for each row.
func addResponses(batch *db.InsertResponsesParams, answer uuid.UUID, responses []*surveyv1.Response) {
	place := int16(0)
	add := func(key string, response *surveyv1.Response, score int16) {
		batch.AnswerIds, batch.Places = append(batch.AnswerIds, answer), append(batch.Places, place)
		batch.QuestionKeys, batch.Scores = append(batch.QuestionKeys, key), append(batch.Scores, score)
		batch.Choices, batch.Bodies = append(batch.Choices, response.GetChoice()), append(batch.Bodies, response.GetText())
		// Keys of choices hold no comma.
		batch.Picks = append(batch.Picks, strings.Join(response.GetChoices().GetKeys(), ","))
		batch.Ranks = append(batch.Ranks, strings.Join(response.GetRanking().GetKeys(), ","))
		number := math.NaN()
		if given, ok := response.GetValue().(*surveyv1.Response_Number); ok {
			number = given.Number
		}
		batch.Numbers, batch.Days = append(batch.Numbers, number), append(batch.Days, response.GetDate())
		place++
	}
	for _, response := range responses {
		switch value := response.GetValue().(type) {
		case *surveyv1.Response_Score:
			add(response.GetQuestionKey(), response, int16(value.Score))
		case *surveyv1.Response_Rows:
			for _, cell := range value.Rows.GetScores() {
				add(questionnaire.RowKey(response.GetQuestionKey(), cell.GetRowKey()), response, int16(cell.GetScore()))
			}
		default:
			add(response.GetQuestionKey(), response, noScore)
		}
	}
}
