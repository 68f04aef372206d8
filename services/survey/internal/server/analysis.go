package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/report"
)

// analysisLimit bounds one statement of an analysis; a million answers take seconds.
const analysisLimit = 20 * time.Second

// AnalyzeAnswers computes the statistics of a questionnaire's answers.
func (s *Server) AnalyzeAnswers(ctx context.Context, req *surveyv1.AnalyzeAnswersRequest) (*surveyv1.Analysis, error) {
	a, err := s.analyze(ctx, req)
	if err != nil {
		return nil, err
	}
	return a.result, nil
}

// analyzed is an analysis and the plan that it followed.
type analyzed struct {
	plan   *report.Plan
	result *surveyv1.Analysis
}

func (s *Server) analyze(ctx context.Context, req *surveyv1.AnalyzeAnswersRequest) (*analyzed, error) {
	id, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	for _, bound := range []struct {
		field string
		at    *timestamppb.Timestamp
	}{{"start_time", req.GetStartTime()}, {"end_time", req.GetEndTime()}} {
		if bound.at != nil && bound.at.CheckValid() != nil {
			return nil, rpcerr.Invalid(bound.field, noInstant())
		}
	}
	var out *analyzed
	// One snapshot: the figures are those of the version of the data that they are kept under.
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := s.queries.AllowLong(ctx, tx, analysisLimit); err != nil {
			return fmt.Errorf("allow long statements: %w", err)
		}
		survey, err := s.survey(ctx, tx, id)
		if err != nil {
			return err
		}
		plan, faults := report.NewPlan(survey, req, s.low)
		if len(faults) > 0 {
			return misfit(faults)
		}
		a := &analyst{server: s, tx: tx, id: id, req: req, plan: plan}
		result, err := a.sides(ctx, survey.Versions[0].GetVersion())
		out = &analyzed{plan: plan, result: result}
		return err
	})
	return out, err
}

func misfit(faults []questionnaire.Fault) error {
	return faulty(codes.InvalidArgument, "ANALYSIS_INVALID", "",
		rpcerr.T("The analysis does not fit the questionnaire", "分析请求与问卷不符"), faults)
}

// survey reads what is known of a published questionnaire's questions.
func (s *Server) survey(ctx context.Context, tx pgx.Tx, id uuid.UUID) (report.Survey, error) {
	newest, err := s.lastVersion(ctx, tx, id)
	if err != nil {
		return report.Survey{}, err
	}
	rows, err := s.queries.ListQuestionnaireVersions(ctx, tx, id)
	if err != nil {
		return report.Survey{}, fmt.Errorf("read versions: %w", err)
	}
	out := report.Survey{ID: id.String(), Versions: []*surveyv1.Questionnaire{newest}}
	for _, row := range rows {
		if row.Version == newest.GetVersion() {
			continue
		}
		version, err := decode(row.Content)
		if err != nil {
			return out, err
		}
		out.Versions = append(out.Versions, version)
	}
	out.Slots, err = s.slots(ctx, tx, id)
	return out, err
}

// analyst computes one analysis in one snapshot.
type analyst struct {
	server *Server
	tx     pgx.Tx
	id     uuid.UUID
	req    *surveyv1.AnalyzeAnswersRequest
	plan   *report.Plan
	tables *report.Tables
	// clean leaves out what cleaning excludes; epoch is the state of the flags that tell.
	clean bool
	epoch int64
	// withdrawn are the answers that were taken back.
	withdrawn int64
}

// sides runs the analysis as the request asks: with or without what cleaning excludes, or both.
func (a *analyst) sides(ctx context.Context, version int32) (*surveyv1.Analysis, error) {
	row, err := a.server.queries.GetCleaning(ctx, a.tx, a.id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read cleaning: %w", err)
	}
	a.epoch = row.Epoch
	a.clean = a.req.GetExcluded() == surveyv1.ExcludedAnswers_EXCLUDED_ANSWERS_LEFT_OUT
	result, err := a.run(ctx, version)
	if err != nil {
		return nil, err
	}
	if a.req.GetExcluded() == surveyv1.ExcludedAnswers_EXCLUDED_ANSWERS_SIDE_BY_SIDE {
		a.clean = true
		if result.Cleaned, err = a.run(ctx, version); err != nil {
			return nil, err
		}
	}
	result.Cleaning, err = a.server.cleaning(ctx, a.tx, a.id, a.tables.Recorded)
	return result, err
}

// run gives what was computed of the same data before, or computes it.
func (a *analyst) run(ctx context.Context, version int32) (*surveyv1.Analysis, error) {
	a.tables = report.NewTables(a.plan)
	if err := a.readTotals(ctx, version); err != nil {
		return nil, err
	}
	key, err := a.key(version)
	if err != nil {
		return nil, err
	}
	if known := a.server.analyses.get(key); known != nil {
		return known, nil
	}
	if err := a.count(ctx); err != nil {
		return nil, err
	}
	result, err := report.Build(a.plan, a.tables)
	if err != nil {
		return nil, fmt.Errorf("analyse questionnaire %s: %w", a.id, err)
	}
	result.DataVersion += 2 * a.withdrawn // each took one off what is recorded
	a.server.analyses.put(key, result)
	return result, nil
}

// readTotals reads what tells whether anything changed: how many answers and invitations there
// are and how many were withdrawn, one of which rises with every change, and for weights the customers.
func (a *analyst) readTotals(ctx context.Context, version int32) error {
	rows, err := a.server.queries.ReadCounts(ctx, a.tx, a.id, 1, version)
	if err != nil {
		return fmt.Errorf("read counts: %w", err)
	}
	t := &tally{}
	for _, row := range rows {
		if row.QuestionKey == "" {
			t.addWhole(row)
		}
	}
	a.tables.Asked, a.tables.Answered, a.tables.Recorded = t.asked, t.answered, t.answered+t.imported
	a.withdrawn = t.withdrawn
	if a.plan.Tier == nil {
		return nil
	}
	tiers, err := a.server.queries.CountCustomersByTier(ctx, a.tx)
	if err != nil {
		return fmt.Errorf("count customers: %w", err)
	}
	for _, row := range tiers {
		a.tables.Population[typev1.Tier(row.Tier).String()] = row.N
	}
	return nil
}

// selection are the answers within period and filters.
func (a *analyst) selection() db.Selection {
	out := db.Selection{QuestionnaireID: a.id, Clean: a.clean}
	if from := a.req.GetStartTime(); from != nil {
		at := from.AsTime()
		out.From = &at
	}
	if to := a.req.GetEndTime(); to != nil {
		at := to.AsTime()
		out.To = &at
	}
	for _, f := range a.plan.Filters {
		filter := db.Filter{Dimension: column(f.Dimension)}
		for _, stored := range f.Stored {
			if filter.Slot == 0 && filter.Column == db.RegionColumn {
				filter.Texts = append(filter.Texts, stored)
				continue
			}
			n, _ := strconv.ParseInt(stored, 10, 16)
			filter.Numbers = append(filter.Numbers, int16(n))
		}
		out.Filters = append(out.Filters, filter)
	}
	return out
}

// column is where a dimension is stored.
func column(d report.Dimension) db.Dimension {
	if d.Slot > 0 {
		return db.Dimension{Slot: d.Slot}
	}
	return db.Dimension{Column: map[surveyv1.AnswerAttribute]db.Column{
		surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER:          db.TierColumn,
		surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_REGION:        db.RegionColumn,
		surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_CUSTOMER_KIND: db.KindColumn,
		surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_CAUSE:         db.CauseColumn,
	}[d.Asked.GetAttribute()]}
}

// count fills the tables.
func (a *analyst) count(ctx context.Context) error {
	q := db.CellQuery{Selection: a.selection()}
	for _, question := range a.plan.Questions() {
		q.Slots = append(q.Slots, question.Slot)
	}
	if a.plan.Overall != nil {
		q.Overall = a.plan.Overall.Slot
	}
	for _, d := range a.plan.Dimensions() {
		q.Dimensions = append(q.Dimensions, column(d))
	}
	if err := a.countWhole(ctx, q); err != nil {
		return err
	}
	if a.req.GetTrend() != 0 {
		first, last, err := a.server.queries.Span(ctx, a.tx, q.Selection)
		if err != nil {
			return fmt.Errorf("read span: %w", err)
		}
		var faults []questionnaire.Fault
		if a.tables.Periods, faults = report.Periods(a.req.GetTrend(), first, last); len(faults) > 0 {
			return misfit(faults)
		}
		q.Periods = a.tables.Periods
	}
	counted, err := a.server.queries.Count(ctx, a.tx, q)
	if err != nil {
		return fmt.Errorf("count answers: %w", err)
	}
	for _, c := range counted.Cells {
		a.tables.Add(c.Slot, c.X, c.Y, c.Groups, c.N)
	}
	for _, c := range counted.Periods {
		a.tables.AddPeriod(c.Slot, c.X, c.Period, c.N)
	}
	return nil
}

// countWhole counts the answers, and those of everything where the request takes a part.
func (a *analyst) countWhole(ctx context.Context, q db.CellQuery) error {
	var err error
	if a.tables.AllAnswers = a.tables.Recorded; len(q.Filters) == 0 && q.From == nil && q.To == nil && !q.Clean {
		a.tables.Answers = a.tables.Recorded
		return nil
	}
	if a.tables.Answers, _, err = a.server.queries.CountAnswers(ctx, a.tx, q.Selection, nil); err != nil {
		return fmt.Errorf("count answers of the part: %w", err)
	}
	_, answered, err := a.server.queries.CountAnswers(ctx, a.tx, db.Selection{QuestionnaireID: a.id}, q.Slots)
	if err != nil {
		return fmt.Errorf("count all answers: %w", err)
	}
	for i, slot := range q.Slots {
		a.tables.AllAnswered[slot] = answered[i]
	}
	return nil
}
