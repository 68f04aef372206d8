package report

import (
	"slices"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// grouping compares the groups of a dimension.
func (b *builder) grouping(i int, d Dimension, subjects []*subject) (*surveyv1.GroupingAnalysis, error) {
	out := &surveyv1.GroupingAnalysis{Dimension: d.Asked, Label: d.Label}
	values := b.tables.values(i, d)
	for _, value := range values {
		out.Groups = append(out.Groups, d.group(value))
	}
	c := &comparing{label: name(d.Label), groups: out.Groups}
	for _, s := range subjects {
		compared, err := c.question(s, b.tables.grouped(i, s.Question))
		if err != nil {
			return nil, err
		}
		out.Questions = append(out.Questions, compared)
	}
	return out, c.adjust()
}

// comparing compares the questions of one grouping.
type comparing struct {
	label  analysis.Name
	groups []*surveyv1.AnswerGroup
	// pending are the tests whose probabilities are to be adjusted, by kind.
	pending [5][]pending
}

// pending is a test that waits for the adjustment of its probability.
type pending struct {
	out     *surveyv1.GroupTest
	explain func(p float64) analysis.Name
}

// The kinds of tests, each adjusted for itself.
const (
	welchT = iota
	anova
	welchANOVA
	kruskal
	chiSquare
)

// question compares one question between the groups.
func (c *comparing) question(s *subject, by map[string]analysis.Counts) (*surveyv1.QuestionComparison, error) {
	out := &surveyv1.QuestionComparison{QuestionKey: s.Key}
	sizes := make([]int64, len(c.groups))
	for i, g := range c.groups {
		sizes[i] = by[g.GetValue()].N()
	}
	reasons, err := analysis.Withhold(sizes)
	if err != nil {
		return nil, err
	}
	var shown []analysis.Counts
	var names []analysis.Name
	hidden := s.hidden
	for i, g := range c.groups {
		why, counts := s.hidden, by[g.GetValue()]
		if why == nil {
			why = withheld(reasons[i])
		}
		figure, err := s.average(counts, why, within(s.name, name(g.GetLabel())))
		if err != nil {
			return nil, err
		}
		out.Means = append(out.Means, figure)
		if why == nil && g.GetValue() != "" && len(counts) > 0 {
			shown, names = append(shown, counts), append(names, name(g.GetLabel()))
		}
	}
	if len(shown) < 2 && hidden == nil {
		// Fewer groups than there are, because some are withheld, or because there are no more.
		if i := slices.IndexFunc(reasons, func(r analysis.Reason) bool { return r != 0 }); i >= 0 {
			hidden = withheld(analysis.Withheld)
		}
	}
	return out, c.tests(out, s, shown, names, hidden)
}

// within names a question of one group.
func within(question, group analysis.Name) analysis.Name {
	return analysis.Name{EN: question.EN + " (" + group.EN + ")", ZH: question.ZH + "（" + group.ZH + "）"}
}

func (c *comparing) tests(out *surveyv1.QuestionComparison, s *subject, shown []analysis.Counts, names []analysis.Name, hidden *analysis.Lack) (err error) {
	if len(shown) == 2 {
		d, testErr := analysis.Welch(shown[0], shown[1], Level)
		if out.WelchT, err = c.difference(s, d, testErr, names); err != nil {
			return err
		}
	}
	rows := make([][]int64, len(shown))
	for i, counts := range shown {
		rows[i] = make([]int64, s.Scale.Greatest-s.Scale.Least+1)
		for _, entry := range counts {
			rows[i][entry.Score-s.Scale.Least] += entry.N
		}
	}
	a, errA := analysis.ANOVA(shown)
	w, errW := analysis.WelchANOVA(shown)
	k, errK := analysis.KruskalWallis(shown)
	x, errX := analysis.ChiSquare(rows)
	for _, test := range []struct {
		kind   int
		name   analysis.Test
		result analysis.Comparison
		err    error
		to     **surveyv1.GroupTest
	}{
		{anova, analysis.ANOVATest, a, errA, &out.Anova}, {welchANOVA, analysis.WelchTest, w, errW, &out.WelchAnova},
		{kruskal, analysis.KruskalTest, k, errK, &out.KruskalWallis}, {chiSquare, analysis.ChiSquareTest, x.Comparison, errX, &out.ChiSquare},
	} {
		if hidden != nil {
			test.err = hidden
		}
		if *test.to, err = c.test(s, test.kind, test.name, test.result, test.err); err != nil {
			return err
		}
	}
	out.ChiSquare.SmallExpected = x.SmallExpected
	return nil
}

// lacking is the test that there is none, or nil with the error that is no lack.
func (c *comparing) lacking(err error, s *subject) (*surveyv1.GroupTest, error) {
	lack := analysis.AsLack(err)
	if lack == nil {
		return nil, err
	}
	of := analysis.Name{EN: "the comparison of " + s.name.EN + " by " + c.label.EN, ZH: "按" + c.label.ZH + "比较" + s.name.ZH}
	return &surveyv1.GroupTest{N: lack.N, Lack: lackOf(lack), Text: text(lack.Explain(of))}, nil
}

func (c *comparing) difference(s *subject, d analysis.Difference, err error, names []analysis.Name) (*surveyv1.GroupTest, error) {
	if s.hidden != nil {
		err = s.hidden
	}
	if err != nil {
		return c.lacking(err, s)
	}
	out := &surveyv1.GroupTest{
		N: d.N[0] + d.N[1], Statistic: d.T, Df1: d.DF, P: &d.P, Effect: d.Effect, EffectInterval: interval(&d.EffectInterval),
		Difference: &surveyv1.Figure{N: d.N[0] + d.N[1], Value: &d.Value, Interval: interval(&d.Interval)},
	}
	c.pending[welchT] = append(c.pending[welchT], pending{out, func(p float64) analysis.Name { return d.Explain(s.name, names[0], names[1], p) }})
	return out, nil
}

func (c *comparing) test(s *subject, kind int, test analysis.Test, result analysis.Comparison, err error) (*surveyv1.GroupTest, error) {
	if err != nil {
		return c.lacking(err, s)
	}
	out := &surveyv1.GroupTest{N: result.N, Statistic: result.Statistic, Df1: result.DF1, Df2: result.DF2, P: &result.P, Effect: result.Effect}
	c.pending[kind] = append(c.pending[kind], pending{out, func(p float64) analysis.Name { return result.Explain(test, s.name, c.label, p) }})
	return out, nil
}

// adjust corrects the probabilities of each kind of test over all questions and says the
// outcomes by the corrected ones.
func (c *comparing) adjust() error {
	for _, tests := range c.pending {
		p := make([]float64, len(tests))
		for i, test := range tests {
			p[i] = test.out.GetP()
		}
		adjusted, err := analysis.Holm(p)
		if err != nil {
			return err
		}
		for i, test := range tests {
			test.out.AdjustedP, test.out.Text = &adjusted[i], text(test.explain(adjusted[i]))
			if test.out.Difference != nil {
				test.out.Difference.Text = test.out.Text
			}
		}
	}
	return nil
}
