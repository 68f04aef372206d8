package report

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// Level is that of every interval.
const Level = 0.95

// Build computes the analysis. What it refuses to show stands in no part of the result.
func Build(plan *Plan, tables *Tables) (*surveyv1.Analysis, error) {
	b := &builder{plan: plan, tables: tables}
	out := &surveyv1.Analysis{QuestionnaireId: plan.QuestionnaireID, DataVersion: tables.Recorded}
	reason, err := analysis.WithholdPart(tables.Answers, tables.AllAnswers)
	if err != nil {
		return nil, err
	}
	if reason == 0 {
		out.Answers = tables.Answers
	}
	rate, rateErr := analysis.ResponseRate(tables.Answered, tables.Asked, Level)
	if out.ResponseRate, err = estimate(rate, rateErr, analysis.Estimate.ExplainResponseRate, name(plan.Title)); err != nil {
		return nil, err
	}
	subjects := make([]*subject, 0, len(plan.Aspects)+1)
	for _, q := range plan.Questions() {
		s, err := b.subject(q)
		if err != nil {
			return nil, fmt.Errorf("question %s: %w", q.Key, err)
		}
		subjects = append(subjects, s)
	}
	aspects := subjects
	if plan.Overall != nil {
		out.Overall, aspects = subjects[0].out, subjects[1:]
	}
	for _, s := range aspects {
		out.Aspects = append(out.Aspects, s.out)
	}
	if err := quadrants(aspects); err != nil {
		return nil, err
	}
	if out.Problems, err = b.problems(aspects); err != nil {
		return nil, err
	}
	for i, d := range plan.Groupings {
		grouping, err := b.grouping(i, d, subjects)
		if err != nil {
			return nil, fmt.Errorf("grouping %d: %w", i, err)
		}
		out.Groupings = append(out.Groupings, grouping)
	}
	return out, nil
}

type builder struct {
	plan   *Plan
	tables *Tables
}

// subject is a question on its way into the analysis.
type subject struct {
	Question
	name   analysis.Name
	counts analysis.Counts
	// hidden says why nothing of the question is shown; nil where it may be.
	hidden *analysis.Lack
	out    *surveyv1.QuestionAnalysis
	// mean and importance are nil where they are lacking.
	mean       *float64
	importance *float64
}

func name(text *typev1.Text) analysis.Name {
	out := analysis.Name{EN: text.GetEn(), ZH: text.GetZh()}
	if out.EN == "" {
		out.EN = out.ZH
	}
	if out.ZH == "" {
		out.ZH = out.EN
	}
	return out
}

func text(t rpcerr.Text) *typev1.Text { return &typev1.Text{Zh: t.ZH, En: t.EN} }

// withheld is the lack of a reason to withhold, nil for none.
func withheld(reason analysis.Reason) *analysis.Lack {
	if reason == 0 {
		return nil
	}
	return &analysis.Lack{Reason: reason, Need: analysis.MinShown}
}

func (b *builder) subject(q Question) (*subject, error) {
	s := &subject{Question: q, name: name(q.Label), counts: b.tables.counts(q)}
	n := s.counts.N()
	reason, err := analysis.WithholdPart(n, max(b.tables.AllAnswered[q.Slot], n))
	if err != nil {
		return nil, err
	}
	s.hidden = withheld(reason)
	s.out = &surveyv1.QuestionAnalysis{QuestionKey: q.Key, Label: q.Label, Type: q.Type}
	if err := s.describe(); err != nil {
		return nil, err
	}
	if b.plan.Tier != nil {
		if err := b.weigh(s); err != nil {
			return nil, err
		}
	}
	if overall := b.plan.Overall; overall != nil && overall.Key != q.Key {
		if err := b.relate(s, *overall); err != nil {
			return nil, err
		}
	}
	if len(b.tables.Periods) > 0 {
		return s, b.trend(s)
	}
	return s, nil
}

// describe adds the figures of the question alone.
func (s *subject) describe() (err error) {
	if s.out.Mean, err = s.average(s.counts, s.hidden, s.name); err != nil {
		return err
	}
	s.mean = s.out.Mean.Value
	switch s.Type {
	case surveyv1.QuestionType_QUESTION_TYPE_RATING:
		top, topErr := analysis.CSAT(s.counts, Level)
		s.out.Csat, err = s.estimate(top, topErr, analysis.Estimate.ExplainTopTwo)
	case surveyv1.QuestionType_QUESTION_TYPE_NPS:
		nps, npsErr := analysis.NPS(s.counts, Level)
		s.out.Nps, err = s.estimate(nps, npsErr, analysis.Estimate.ExplainNPS)
	case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
		ces, cesErr := analysis.CES(s.counts, Level)
		s.out.Ces, err = s.estimate(ces, cesErr, analysis.Estimate.ExplainCES)
	}
	if err != nil || s.hidden != nil {
		return err
	}
	deviation, err := analysis.Deviation(s.counts)
	if err == nil {
		s.out.StandardDeviation = &deviation
	} else if analysis.AsLack(err) == nil {
		return err
	}
	bars, err := analysis.Distribution(s.counts, s.Scale)
	if err != nil {
		return err
	}
	for _, bar := range bars {
		value := fmt.Sprint(bar.Score)
		if s.Choices != nil {
			value = s.Choices[bar.Score]
		}
		s.out.Distribution = append(s.out.Distribution, &surveyv1.Bucket{Value: value, Count: bar.N, Share: bar.Share})
	}
	return nil
}

// average writes the mean of answers to the question, of a choice of two the share of the
// second, unless it is hidden.
func (s *subject) average(c analysis.Counts, hidden *analysis.Lack, of analysis.Name) (*surveyv1.Figure, error) {
	mean, err := analysis.MeanInterval(c, Level)
	explain := analysis.Estimate.ExplainMean
	if s.Choices != nil {
		mean, err = analysis.Share(c.Between(1, 1), c.N(), Level)
		explain = func(e analysis.Estimate, of analysis.Name) rpcerr.Text { return e.ExplainShare(of, name(s.Chosen)) }
	}
	if hidden != nil {
		err = hidden
	}
	return estimate(mean, err, explain, of)
}

// estimate writes an estimate of the question, unless it is hidden.
func (s *subject) estimate(e analysis.Estimate, err error, explain func(analysis.Estimate, analysis.Name) rpcerr.Text) (*surveyv1.Figure, error) {
	if s.hidden != nil {
		err = s.hidden
	}
	return estimate(e, err, explain, s.name)
}

func estimate(e analysis.Estimate, err error, explain func(analysis.Estimate, analysis.Name) rpcerr.Text, of analysis.Name) (*surveyv1.Figure, error) {
	if lack := analysis.AsLack(err); lack != nil {
		return missing(lack, of), nil
	}
	if err != nil {
		return nil, err
	}
	return &surveyv1.Figure{N: e.N, Value: &e.Value, Interval: interval(e.Interval), Lack: lackOf(e.Why), Text: text(explain(e, of))}, nil
}

// missing is the figure that there is none.
func missing(lack *analysis.Lack, of analysis.Name) *surveyv1.Figure {
	return &surveyv1.Figure{N: lack.N, Lack: lackOf(lack), Text: text(lack.Explain(of))}
}

func interval(i *analysis.Interval) *surveyv1.ConfidenceInterval {
	if i == nil {
		return nil
	}
	return &surveyv1.ConfidenceInterval{Low: i.Low, High: i.High, Level: i.Level}
}

var lackReasons = map[analysis.Reason]surveyv1.LackReason{
	analysis.TooFew: surveyv1.LackReason_LACK_REASON_TOO_FEW, analysis.Withheld: surveyv1.LackReason_LACK_REASON_WITHHELD,
	analysis.WithheldComplement: surveyv1.LackReason_LACK_REASON_WITHHELD_COMPLEMENT,
	analysis.NoVariance:         surveyv1.LackReason_LACK_REASON_NO_VARIANCE, analysis.OneGroup: surveyv1.LackReason_LACK_REASON_ONE_GROUP,
	analysis.Uncovered: surveyv1.LackReason_LACK_REASON_UNCOVERED,
}

func lackOf(lack *analysis.Lack) *surveyv1.Lack {
	if lack == nil {
		return nil
	}
	return &surveyv1.Lack{Reason: lackReasons[lack.Reason], N: lack.N, Need: lack.Need}
}

// weigh adds the mean weighted by tier. If one tier has less than 5 answers it is withheld: it
// and the means of the others would give that of the tier.
func (b *builder) weigh(s *subject) error {
	given := b.tables.grouped(len(b.plan.Groupings), s.Question)
	var strata []analysis.Stratum
	why := s.hidden
	for _, tier := range slices.Sorted(maps.Keys(b.tables.Population)) {
		n := given[tier].N()
		if n > 0 && n < analysis.MinShown && why == nil {
			why = withheld(analysis.Withheld)
		}
		strata = append(strata, analysis.Stratum{Population: b.tables.Population[tier], Answers: given[tier]})
	}
	weighted, err := analysis.PostStratify(strata, Level)
	if why != nil {
		err = why
	}
	s.out.WeightedMean, err = estimate(weighted.Estimate, err, func(_ analysis.Estimate, of analysis.Name) rpcerr.Text {
		return weighted.ExplainWeighted(of)
	}, s.name)
	if err == nil && s.out.WeightedMean.Value != nil {
		s.out.EffectiveN = weighted.EffectiveN
	}
	return err
}

// relate adds how the aspect goes with the overall question.
func (b *builder) relate(s *subject, overall Question) (err error) {
	joint := b.tables.joint(s.Question, overall)
	hidden := s.hidden
	if hidden == nil {
		reason, err := analysis.WithholdPart(joint.N(), joint.N())
		if err != nil {
			return err
		}
		hidden = withheld(reason)
	}
	relation := func(c analysis.Correlation, err error) (*surveyv1.Relation, error) {
		if hidden != nil {
			err = hidden
		}
		if lack := analysis.AsLack(err); lack != nil {
			return &surveyv1.Relation{R: missing(lack, s.name)}, nil
		}
		if err != nil {
			return nil, err
		}
		figure := &surveyv1.Figure{N: c.N, Value: &c.R, Interval: interval(c.Interval), Lack: lackOf(c.Why), Text: text(c.Explain(s.name, name(overall.Label)))}
		return &surveyv1.Relation{R: figure, Df: c.DF, P: &c.P}, nil
	}
	if s.out.Pearson, err = relation(analysis.Pearson(joint, Level)); err != nil {
		return err
	}
	s.importance = s.out.Pearson.R.Value
	s.out.Spearman, err = relation(analysis.Spearman(joint, Level))
	return err
}

// trend adds how the mean moves. Periods are groups of the whole as well: of few answers they
// are withheld, and take no part in changes and slope.
func (b *builder) trend(s *subject) error {
	periods := b.tables.overTime(s.Question)
	sizes := make([]int64, len(periods))
	for i, period := range periods {
		sizes[i] = period.N()
	}
	reasons, err := analysis.Withhold(sizes)
	if err != nil {
		return err
	}
	for i := range periods {
		if reasons[i] != 0 || s.hidden != nil {
			periods[i] = nil
		}
	}
	moves, err := analysis.TrendOf(periods, Level)
	if err != nil {
		return err
	}
	for i, point := range moves.Points {
		why := s.hidden
		if why == nil {
			why = withheld(reasons[i])
		}
		out := &surveyv1.TrendPoint{StartTime: timestamppb.New(b.tables.Periods[i])}
		if out.Mean, err = s.average(periods[i], why, s.name); err != nil {
			return err
		}
		if i > 0 {
			out.Change = s.change(point)
		}
		s.out.Trend = append(s.out.Trend, out)
	}
	switch {
	case s.hidden != nil:
		s.out.Slope = missing(s.hidden, s.name)
	case moves.Slope == nil:
		s.out.Slope = missing(moves.SlopeWhy, s.name)
	default:
		slope := moves.Slope
		s.out.Slope = &surveyv1.Figure{N: slope.N, Value: &slope.Value, Interval: interval(slope.Interval), Lack: lackOf(slope.Why), Text: text(slope.Explain(s.name))}
	}
	return nil
}

func (s *subject) change(p analysis.Point) *surveyv1.Figure {
	if p.Change == nil {
		return missing(p.ChangeWhy, s.name)
	}
	d := p.Change
	now, before := analysis.Name{EN: "this period", ZH: "本期"}, analysis.Name{EN: "the one before", ZH: "上期"}
	return &surveyv1.Figure{N: d.N[0] + d.N[1], Value: &d.Value, Interval: interval(&d.Interval), Text: text(d.Explain(s.name, now, before, d.P))}
}
