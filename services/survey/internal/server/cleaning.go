package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/cleaning"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

// GetCleaningRules gives a version of the rules.
func (s *Server) GetCleaningRules(ctx context.Context, req *surveyv1.GetCleaningRulesRequest) (*surveyv1.CleaningRules, error) {
	id, err := s.asked(ctx, req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	return s.cleaningRules(ctx, s.pool, id, req.GetVersion())
}

// asked reads the id of a questionnaire that there is.
func (s *Server) asked(ctx context.Context, given string) (uuid.UUID, error) {
	id, err := parse("questionnaire_id", given)
	if err != nil {
		return id, err
	}
	_, err = s.questionnaire(ctx, s.pool, id)
	return id, err
}

// cleaningRules gives a version, 0 for the newest: the suite's own where there is none.
func (s *Server) cleaningRules(ctx context.Context, from pg.DBTX, id uuid.UUID, version int32) (*surveyv1.CleaningRules, error) {
	row, err := s.queries.GetCleaningRules(ctx, from, id, version)
	out := cleaning.Default()
	switch {
	case errors.Is(err, pgx.ErrNoRows) && version == 0:
		out.QuestionnaireId, out.Etag = id.String(), etag(0)
		return out, nil
	case errors.Is(err, pgx.ErrNoRows):
		return nil, unknownRules("CLEANING_RULES_NOT_FOUND", rpcerr.T("cleaning rules", "清洗规则"), id, version)
	case err != nil:
		return nil, fmt.Errorf("read cleaning rules: %w", err)
	}
	proto.Reset(out)
	if err := protojson.Unmarshal(row.Content, out); err != nil {
		return nil, fmt.Errorf("decode stored cleaning rules: %w", err)
	}
	out.QuestionnaireId, out.Version, out.Etag = id.String(), row.Version, etag(int64(row.Version))
	out.SetTime, out.SetActor = timestamppb.New(row.SetTime), row.SetActor
	return out, nil
}

func unknownRules(reason string, what rpcerr.Text, id uuid.UUID, version int32) error {
	return rpcerr.New(codes.NotFound, reason, rpcerr.Text{
		EN: fmt.Sprintf("The questionnaire %s has no version %d of its %s; ask for version 0, the newest.", id, version, what.EN),
		ZH: fmt.Sprintf("问卷 %s 的%s没有版本 %d；请用版本 0 查询最新版本。", id, what.ZH, version),
	}).With("id", id.String())
}

// SetCleaningRules sets the next version and has everything flagged anew.
func (s *Server) SetCleaningRules(ctx context.Context, req *surveyv1.SetCleaningRulesRequest) (*surveyv1.CleaningRules, error) {
	id, err := parse("rules.questionnaire_id", req.GetRules().GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	rules := cleaning.Complete(req.GetRules())
	rules.QuestionnaireId, rules.Version, rules.SetTime, rules.SetActor, rules.Etag = "", 0, nil, "", ""
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.CleaningRules, error) {
		// The questionnaire's row keeps two from setting the same version.
		if _, err := s.lockQuestionnaire(ctx, tx, id, ""); err != nil {
			return nil, err
		}
		version, err := s.lastVersion(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if faults := cleaning.Check(rules, version); len(faults) > 0 {
			return nil, faulty(codes.InvalidArgument, "CLEANING_RULES_INVALID", "rules.",
				rpcerr.T("The rules do not fit the questionnaire", "规则与问卷不符"), faults)
		}
		newest, err := s.cleaningRules(ctx, tx, id, 0)
		if err != nil {
			return nil, err
		}
		if tag := req.GetRules().GetEtag(); tag != "" && tag != newest.GetEtag() {
			return nil, rpcerr.Stale("cleaning_rules", id.String())
		}
		content, err := protojson.Marshal(rules)
		if err != nil {
			return nil, fmt.Errorf("encode cleaning rules: %w", err)
		}
		row := db.InsertCleaningRulesParams{
			QuestionnaireID: id, Version: newest.GetVersion() + 1, Content: content, SetTime: s.moment(), SetActor: authn.FromContext(ctx).Actor(),
		}
		if err := s.queries.InsertCleaningRules(ctx, tx, row); err != nil {
			return nil, fmt.Errorf("insert cleaning rules: %w", err)
		}
		if err := s.flagAnew(ctx, tx, id); err != nil {
			return nil, err
		}
		tx.Audit("cleaning_rules", id, rules)
		return s.cleaningRules(ctx, tx, id, row.Version)
	})
}

// flagAnew has all answers of a questionnaire flagged and coded again.
func (s *Server) flagAnew(ctx context.Context, tx *write.Tx, id uuid.UUID) error {
	if err := s.queries.LockCleaning(ctx, tx, id); err != nil {
		return fmt.Errorf("lock cleaning: %w", err)
	}
	if err := s.queries.RestartCleaning(ctx, tx, id); err != nil {
		return fmt.Errorf("restart cleaning: %w", err)
	}
	return nil
}

// GetCleaning counts flags.
func (s *Server) GetCleaning(ctx context.Context, req *surveyv1.GetCleaningRequest) (*surveyv1.Cleaning, error) {
	id, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	var out *surveyv1.Cleaning
	// One snapshot: the numbers fit each other.
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		row, err := s.questionnaire(ctx, tx, id)
		if err != nil {
			return err
		}
		counts, err := s.queries.ReadCounts(ctx, tx, id, 1, max(row.PublishedVersion, 1))
		if err != nil {
			return fmt.Errorf("read counts: %w", err)
		}
		t := &tally{}
		for _, row := range counts {
			if row.QuestionKey == "" {
				t.addWhole(row)
			}
		}
		out, err = s.cleaning(ctx, tx, id, t.answered+t.imported)
		return err
	})
	return out, err
}

// cleaning counts the flags of so many answers.
func (s *Server) cleaning(ctx context.Context, from pg.DBTX, id uuid.UUID, answers int64) (*surveyv1.Cleaning, error) {
	rules, err := s.cleaningRules(ctx, from, id, 0)
	if err != nil {
		return nil, err
	}
	rows, err := s.queries.CountFlags(ctx, from, id)
	if err != nil {
		return nil, fmt.Errorf("count flags: %w", err)
	}
	out := &surveyv1.Cleaning{QuestionnaireId: id.String(), Answers: answers, RulesVersion: rules.GetVersion()}
	var t cleaning.Tally
	for _, row := range rows {
		t.Add(cleaning.Flags(row.Flags), row.N)
		if row.Flags != 0 {
			out.Flagged += row.N
		}
		if row.Excluded {
			out.Excluded += row.N
		}
	}
	out.Flags = t.Counts()
	if out.Judged, err = s.queries.CountJudged(ctx, from, id); err != nil {
		return nil, fmt.Errorf("count judged answers: %w", err)
	}
	out.Waiting, out.Running, err = s.waiting(ctx, from, id)
	return out, err
}

// waiting tells how many answers wait to be flagged and whether all of them are anew.
func (s *Server) waiting(ctx context.Context, from pg.DBTX, id uuid.UUID) (int64, bool, error) {
	n, err := s.queries.CountUnflagged(ctx, from, id)
	if err != nil {
		return 0, false, fmt.Errorf("count unflagged answers: %w", err)
	}
	row, err := s.queries.GetCleaning(ctx, from, id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, false, fmt.Errorf("read cleaning: %w", err)
	}
	return n, row.AfterID != nil, nil
}

// ListFlaggedAnswers gives flagged and judged answers, the newest recorded first.
func (s *Server) ListFlaggedAnswers(ctx context.Context, req *surveyv1.ListFlaggedAnswersRequest) (*surveyv1.ListFlaggedAnswersResponse, error) {
	id, err := s.asked(ctx, req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	if few, err := s.fewToList(ctx, id); err != nil || few {
		return new(surveyv1.ListFlaggedAnswersResponse), err
	}
	before, err := s.before(ctx, req)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.queries.ListFlagged(ctx, s.pool, id, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list flagged answers: %w", err)
	}
	out := new(surveyv1.ListFlaggedAnswersResponse)
	rows, out.NextPageToken, err = cut(ctx, s.pages, req, rows, size, func(r db.ListFlaggedRow) uuid.UUID { return r.AnswerID })
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		out.Answers = append(out.Answers, flaggedOf(db.GetFlaggedRow(row)))
	}
	return out, nil
}

func flaggedOf(row db.GetFlaggedRow) *surveyv1.FlaggedAnswer {
	return &surveyv1.FlaggedAnswer{
		AnswerId: row.AnswerID.String(), CustomerId: text(row.CustomerID), Flags: cleaning.Flags(row.Flags).Names(), Excluded: row.Excluded,
		JudgeActor: value(row.JudgeActor), JudgeReason: value(row.Reason), JudgeTime: instant(row.JudgeTime),
	}
}

// JudgeAnswer decides about an answer over its flags.
func (s *Server) JudgeAnswer(ctx context.Context, req *surveyv1.JudgeAnswerRequest) (*surveyv1.FlaggedAnswer, error) {
	questionnaireID, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	id, err := parse("answer_id", req.GetAnswerId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.FlaggedAnswer, error) {
		row, err := s.flagged(ctx, tx, questionnaireID, id)
		if err != nil {
			return nil, err
		}
		if err := s.queries.LockCleaning(ctx, tx, questionnaireID); err != nil {
			return nil, fmt.Errorf("lock cleaning: %w", err)
		}
		if err := s.judge(ctx, tx, questionnaireID, id, req); err != nil {
			return nil, err
		}
		rules, err := s.cleaningRules(ctx, tx, questionnaireID, 0)
		if err != nil {
			return nil, err
		}
		// Read again: it may have been flagged while this waited for the lock.
		if row, err = s.flagged(ctx, tx, questionnaireID, id); err != nil {
			return nil, err
		}
		if err := s.queries.UpdateFlags(ctx, tx, int16(cleaning.Excluding(rules)), []uuid.UUID{id}, []int16{row.Flags}); err != nil {
			return nil, fmt.Errorf("update flags: %w", err)
		}
		if row, err = s.flagged(ctx, tx, questionnaireID, id); err != nil {
			return nil, err
		}
		tx.AuditOf(uuidOf(row.CustomerID), "answer", id, struct{ Verdict, Reason string }{req.GetVerdict().String(), req.GetReason()})
		return flaggedOf(row), nil
	})
}

func (s *Server) flagged(ctx context.Context, tx *write.Tx, questionnaireID, id uuid.UUID) (db.GetFlaggedRow, error) {
	row, err := s.queries.GetFlagged(ctx, tx, id, questionnaireID)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, rpcerr.NotFound("answer", id.String())
	}
	if err != nil {
		return row, fmt.Errorf("read answer: %w", err)
	}
	return row, nil
}

func (s *Server) judge(ctx context.Context, tx *write.Tx, questionnaireID, id uuid.UUID, req *surveyv1.JudgeAnswerRequest) error {
	if req.GetVerdict() == surveyv1.AnswerVerdict_ANSWER_VERDICT_BY_RULES {
		if _, err := s.queries.DeleteJudgement(ctx, tx, id); err != nil {
			return fmt.Errorf("delete judgement: %w", err)
		}
		return nil
	}
	reason := req.GetReason()
	err := s.queries.InsertJudgement(ctx, tx, db.InsertJudgementParams{
		AnswerID: id, QuestionnaireID: questionnaireID, Excluded: req.GetVerdict() == surveyv1.AnswerVerdict_ANSWER_VERDICT_EXCLUDE,
		Reason: &reason, JudgeActor: authn.FromContext(ctx).Actor(), JudgeTime: s.moment(),
	})
	if err != nil {
		return fmt.Errorf("insert judgement: %w", err)
	}
	return nil
}
