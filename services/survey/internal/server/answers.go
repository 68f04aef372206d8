package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

// ListAnswers gives the answers to a questionnaire, the newest recorded first.
func (s *Server) ListAnswers(ctx context.Context, req *surveyv1.ListAnswersRequest) (*surveyv1.ListAnswersResponse, error) {
	id, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	row, err := s.questionnaire(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	if withheld, err := s.tooFewToList(ctx, row); err != nil || withheld {
		return &surveyv1.ListAnswersResponse{Withheld: withheld}, err
	}
	before, err := s.before(ctx, req)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.listAnswers(ctx, id, req.GetCustomerId(), before, size+1)
	if err != nil {
		return nil, err
	}
	out := new(surveyv1.ListAnswersResponse)
	rows, out.NextPageToken, err = cut(ctx, s.pages, req, rows, size, func(r db.Answer) uuid.UUID { return r.ID })
	if err != nil {
		return nil, err
	}
	out.Answers, err = s.withResponses(ctx, s.pool, rows)
	return out, err
}

// tooFewToList tells whether the answers to an anonymous questionnaire are so few that one of them
// might tell who gave it.
func (s *Server) tooFewToList(ctx context.Context, row db.Questionnaire) (bool, error) {
	if row.PublishedVersion == 0 {
		return false, nil
	}
	last, err := s.version(ctx, s.pool, row.ID, row.PublishedVersion)
	if err != nil || !last.GetAnonymous() {
		return false, err
	}
	rows, err := s.queries.ListAnswers(ctx, s.pool, row.ID, uuid.Max, fewest)
	if err != nil {
		return false, fmt.Errorf("list answers: %w", err)
	}
	return few(int64(len(rows))), nil
}

// fewToList is tooFewToList of a questionnaire that is not read yet.
func (s *Server) fewToList(ctx context.Context, id uuid.UUID) (bool, error) {
	row, err := s.questionnaire(ctx, s.pool, id)
	if err != nil {
		return false, err
	}
	return s.tooFewToList(ctx, row)
}

func (s *Server) listAnswers(ctx context.Context, id uuid.UUID, customerID string, before uuid.UUID, size int32) ([]db.Answer, error) {
	customer, err := optional("customer_id", customerID)
	if err != nil {
		return nil, err
	}
	var rows []db.Answer
	if customer == nil {
		rows, err = s.queries.ListAnswers(ctx, s.pool, id, before, size)
	} else {
		rows, err = s.queries.ListAnswersOfCustomer(ctx, s.pool, db.ListAnswersOfCustomerParams{
			QuestionnaireID: id, CustomerID: *customer, Before: before, Size: size})
	}
	if err != nil {
		return nil, fmt.Errorf("list answers: %w", err)
	}
	return rows, nil
}

// withResponses reads the responses of all rows at once.
func (s *Server) withResponses(ctx context.Context, from pg.DBTX, rows []db.Answer) ([]*surveyv1.Answer, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, 0, len(rows))
	answers := make([]*surveyv1.Answer, 0, len(rows))
	byID := make(map[uuid.UUID]*surveyv1.Answer, len(rows))
	for _, row := range rows {
		answer := answerOf(row)
		ids, answers, byID[row.ID] = append(ids, row.ID), append(answers, answer), answer
	}
	responses, err := s.queries.ListResponses(ctx, from, ids)
	if err != nil {
		return nil, fmt.Errorf("read responses: %w", err)
	}
	of := make(map[uuid.UUID][]db.ListResponsesRow, len(rows))
	for _, response := range responses {
		of[response.AnswerID] = append(of[response.AnswerID], response)
	}
	for id, rows := range of {
		byID[id].Responses = responsesOf(rows)
	}
	return answers, nil
}
