package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/survey/internal/cleaning"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

const (
	flagEvery = time.Second
	// flagStep bounds the answers of one transaction.
	flagStep = 500
)

// Flag flags new answers, and all of a questionnaire whose rules changed, until ctx ends. Any
// number of replicas may run it.
func (s *Server) Flag(ctx context.Context) error {
	return s.repeat(ctx, flagEvery, "flagging answers failed", s.FlagAnswers)
}

// FlagAnswers flags and codes what waits now. It derives what it writes from what is recorded
// already and therefore leaves no event and no audit record.
func (s *Server) FlagAnswers(ctx context.Context) error {
	for _, step := range []func(context.Context, pgx.Tx) (bool, error){s.flagNew, s.flagAgain} {
		for more := true; more; {
			err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
				more, err = step(ctx, tx)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// flagNew takes some of the answers that wait and tells whether there were any.
func (s *Server) flagNew(ctx context.Context, tx pgx.Tx) (bool, error) {
	id, err := s.queries.GetUnflaggedQuestionnaire(ctx, tx)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for unflagged answers: %w", err)
	}
	if err := s.queries.LockCleaning(ctx, tx, id); err != nil {
		return false, fmt.Errorf("lock cleaning: %w", err)
	}
	ids, err := s.queries.TakeUnflagged(ctx, tx, id, flagStep)
	if err != nil {
		return false, fmt.Errorf("take unflagged answers: %w", err)
	}
	return true, s.flag(ctx, tx, id, ids)
}

// flagAgain goes a step further through a questionnaire whose rules changed.
func (s *Server) flagAgain(ctx context.Context, tx pgx.Tx) (bool, error) {
	run, err := s.queries.LockRunningCleaning(ctx, tx)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for changed rules: %w", err)
	}
	if err := s.queries.LockCleaning(ctx, tx, run.QuestionnaireID); err != nil {
		return false, fmt.Errorf("lock cleaning: %w", err)
	}
	ids, err := s.queries.ListAnswersAfter(ctx, tx, run.QuestionnaireID, *run.AfterID, flagStep)
	if err != nil {
		return false, fmt.Errorf("list answers: %w", err)
	}
	var last *uuid.UUID
	if len(ids) == flagStep {
		last = &ids[len(ids)-1]
	}
	if err := s.queries.AdvanceCleaning(ctx, tx, last, run.QuestionnaireID); err != nil {
		return false, fmt.Errorf("advance cleaning: %w", err)
	}
	return true, s.flag(ctx, tx, run.QuestionnaireID, ids)
}

// flag flags answers of one questionnaire, whose flags are locked, and those after them that are
// duplicates because of them.
func (s *Server) flag(ctx context.Context, tx pgx.Tx, questionnaireID uuid.UUID, ids []uuid.UUID) error {
	later, err := s.queries.ListLaterTwins(ctx, tx, ids)
	if err != nil {
		return fmt.Errorf("look for later answers: %w", err)
	}
	ids = append(slices.Clone(ids), later...)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	rules, err := s.cleaningRules(ctx, tx, questionnaireID, 0)
	if err != nil {
		return err
	}
	dictionary, err := s.dictionary(ctx, tx, questionnaireID, 0)
	if err != nil {
		return err
	}
	f := &flagger{server: s, tx: tx, id: questionnaireID, rules: rules, coder: cleaning.NewCoder(dictionary), versions: map[int32]*surveyv1.Questionnaire{}}
	for part := range slices.Chunk(ids, flagStep) {
		if err := f.run(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// flagger flags answers by rules that do not change meanwhile.
type flagger struct {
	server   *Server
	tx       pgx.Tx
	id       uuid.UUID
	rules    *surveyv1.CleaningRules
	coder    cleaning.Coder
	versions map[int32]*surveyv1.Questionnaire
}

func (f *flagger) run(ctx context.Context, ids []uuid.UUID) error {
	rows, err := f.server.queries.ListAnswersByID(ctx, f.tx, ids)
	if err != nil {
		return fmt.Errorf("read answers: %w", err)
	}
	duplicates, err := f.duplicates(ctx, ids)
	if err != nil {
		return err
	}
	answers, err := f.server.withResponses(ctx, f.tx, rows)
	if err != nil {
		return err
	}
	// Answers are never deleted: there is a row for each id, in the same order.
	flags := make([]int16, len(rows))
	coding := db.InsertCodingParams{QuestionnaireID: f.id}
	for i, row := range rows {
		version, err := f.version(ctx, row.QuestionnaireVersion)
		if err != nil {
			return err
		}
		filled := cleaning.Filled{Version: version, Responses: answers[i].GetResponses(), Duplicate: duplicates[row.ID]}
		if row.InviteTime != nil {
			filled.Took = row.AnswerTime.Sub(*row.InviteTime)
		}
		flags[i] = int16(cleaning.Flag(f.rules, filled))
		f.code(&coding, row, filled.Responses)
	}
	if err := f.server.queries.UpdateFlags(ctx, f.tx, int16(cleaning.Excluding(f.rules)), ids, flags); err != nil {
		return fmt.Errorf("update flags: %w", err)
	}
	if err := f.server.queries.DeleteCoding(ctx, f.tx, ids); err != nil {
		return fmt.Errorf("delete earlier coding: %w", err)
	}
	if err := f.server.queries.InsertCoding(ctx, f.tx, coding); err != nil {
		return fmt.Errorf("insert coding: %w", err)
	}
	return nil
}

func (f *flagger) duplicates(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	out := map[uuid.UUID]bool{}
	if f.rules.GetDuplicate() == nil {
		return out, nil
	}
	found, err := f.server.queries.ListDuplicates(ctx, f.tx, ids, f.rules.GetDuplicate().GetWithinDays())
	if err != nil {
		return nil, fmt.Errorf("look for earlier answers: %w", err)
	}
	for _, id := range found {
		out[id] = true
	}
	return out, nil
}

func (f *flagger) version(ctx context.Context, number int32) (*surveyv1.Questionnaire, error) {
	if known := f.versions[number]; known != nil {
		return known, nil
	}
	version, err := f.server.version(ctx, f.tx, f.id, number)
	f.versions[number] = version
	return version, err
}

// code adds the topics of an answer's texts; a text without any has the empty one.
func (f *flagger) code(to *db.InsertCodingParams, row db.Answer, responses []*surveyv1.Response) {
	for _, response := range responses {
		text, ok := response.GetValue().(*surveyv1.Response_Text)
		if !ok {
			continue
		}
		topics := f.coder.Code(text.Text)
		if len(topics) == 0 {
			topics = []string{""}
		}
		for _, topic := range topics {
			to.AnswerIds, to.QuestionKeys = append(to.AnswerIds, row.ID), append(to.QuestionKeys, response.GetQuestionKey())
			to.TopicKeys, to.Scores = append(to.TopicKeys, topic), append(to.Scores, row.Score)
		}
	}
}
