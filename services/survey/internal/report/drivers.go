package report

import (
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// quadrants places the aspects whose importance and performance are known.
func quadrants(aspects []*subject) error {
	var known []*subject
	var where []analysis.Aspect
	for _, s := range aspects {
		if s.mean == nil || s.importance == nil {
			continue
		}
		// All kinds of scores meet on one scale from 0 to 1.
		height := (*s.mean - float64(s.Scale.Least)) / float64(s.Scale.Greatest-s.Scale.Least)
		known, where = append(known, s), append(where, analysis.Aspect{Importance: *s.importance, Performance: height})
	}
	places, err := analysis.Quadrants(where)
	if analysis.AsLack(err) != nil {
		return nil
	}
	if err != nil {
		return err
	}
	for i, s := range known {
		s.out.Quadrant = surveyv1.ImportancePerformance(places[i])
		s.out.QuadrantText = text(places[i].Explain(s.name))
	}
	return nil
}

// lowEffort is the highest effort score that says it was made hard: 4 is neither.
const lowEffort = 3

// problems ranks the aspects whose figures are known and which someone rated low.
func (b *builder) problems(aspects []*subject) ([]*surveyv1.RankedProblem, error) {
	var found []analysis.Problem
	by := map[string]*subject{}
	for _, s := range aspects {
		if s.mean == nil || s.importance == nil {
			continue
		}
		shortfall, err := analysis.Shortfall(s.counts, s.Scale)
		if err != nil {
			return nil, err
		}
		low := b.plan.Low.Rating
		switch s.Type {
		case surveyv1.QuestionType_QUESTION_TYPE_NPS:
			low = b.plan.Low.NPS
		case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
			low = lowEffort
		}
		share := analysis.Part(s.counts.Between(s.Scale.Least, low), s.counts.N())
		if share == 0 {
			continue
		}
		by[s.Key] = s
		found = append(found, analysis.Problem{Key: s.Key, Severity: int(s.Severity), Importance: *s.importance, Shortfall: shortfall, Share: share})
	}
	ranked, err := analysis.RankProblems(found)
	if err != nil {
		return nil, err
	}
	var out []*surveyv1.RankedProblem
	for i, p := range ranked {
		s := by[p.Key]
		out = append(out, &surveyv1.RankedProblem{
			QuestionKey: p.Key, Nature: s.Nature, Severity: s.Severity, Importance: max(p.Importance, 0), Shortfall: p.Shortfall,
			LowShare: p.Share, Weight: p.Weight(), Text: text(p.Explain(i+1, s.name)),
		})
	}
	return out, nil
}
