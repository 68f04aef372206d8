package analysis_test

import (
	"math"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	. "github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

func n(score int32, n int64) Count { return Count{Score: score, N: n} }

func errOf[T any](_ T, err error) error { return err }

func TestNotEnough(t *testing.T) {
	one, equal, some := Counts{n(4, 1)}, Counts{n(4, 9)}, Counts{n(2, 5), n(4, 5)}
	for name, c := range map[string]struct {
		err  error
		want Lack
	}{
		"mean of none":                {errOf(Mean(nil)), Lack{TooFew, 0, 1}},
		"deviation of one":            {errOf(Deviation(one)), Lack{TooFew, 1, 2}},
		"interval of none":            {errOf(MeanInterval(nil, 0.95)), Lack{TooFew, 0, 1}},
		"share of none":               {errOf(Share(0, 0, 0.95)), Lack{TooFew, 0, 1}},
		"CSAT of none":                {errOf(CSAT(Counts{n(3, 0)}, 0.95)), Lack{TooFew, 0, 1}},
		"NPS of none":                 {errOf(NPS(nil, 0.95)), Lack{TooFew, 0, 1}},
		"CES of none":                 {errOf(CES(nil, 0.95)), Lack{TooFew, 0, 1}},
		"nobody asked":                {errOf(ResponseRate(0, 0, 0.95)), Lack{TooFew, 0, 1}},
		"two pairs":                   {errOf(Pearson(Pairs{{1, 2, 1}, {2, 1, 1}}, 0.95)), Lack{TooFew, 2, 3}},
		"equal x":                     {errOf(Spearman(Pairs{{1, 2, 3}, {1, 3, 3}}, 0.95)), Lack{NoVariance, 6, 0}},
		"slope in one period":         {errOf(Regression(Pairs{{1, 2, 3}, {1, 3, 3}}, 0.95)), Lack{OneGroup, 6, 0}},
		"slope of equal scores":       {errOf(Regression(Pairs{{1, 2, 3}, {2, 2, 3}}, 0.95)), Lack{NoVariance, 6, 0}},
		"Welch with one":              {errOf(Welch(one, some, 0.95)), Lack{TooFew, 1, 2}},
		"Welch without variance":      {errOf(Welch(equal, equal, 0.95)), Lack{NoVariance, 18, 0}},
		"ANOVA of one group":          {errOf(ANOVA([]Counts{some, nil})), Lack{OneGroup, 10, 0}},
		"ANOVA of none":               {errOf(ANOVA(nil)), Lack{OneGroup, 0, 0}},
		"ANOVA of single answers":     {errOf(ANOVA([]Counts{one, one})), Lack{TooFew, 2, 3}},
		"ANOVA without variance":      {errOf(ANOVA([]Counts{equal, {n(1, 5)}})), Lack{NoVariance, 14, 0}},
		"Welch ANOVA of one answer":   {errOf(WelchANOVA([]Counts{some, one})), Lack{TooFew, 1, 2}},
		"Welch ANOVA of equal ones":   {errOf(WelchANOVA([]Counts{some, equal})), Lack{NoVariance, 9, 0}},
		"Kruskal-Wallis of one":       {errOf(KruskalWallis([]Counts{some})), Lack{OneGroup, 10, 0}},
		"Kruskal-Wallis of ties":      {errOf(KruskalWallis([]Counts{equal, equal})), Lack{NoVariance, 18, 0}},
		"chi-square of one row":       {errOf(ChiSquare([][]int64{{3, 4}, {0, 0}})), Lack{OneGroup, 7, 0}},
		"chi-square of one column":    {errOf(ChiSquare([][]int64{{3, 0}, {4, 0}})), Lack{NoVariance, 7, 0}},
		"chi-square of nothing":       {errOf(ChiSquare(nil)), Lack{OneGroup, 0, 0}},
		"weights without answers":     {errOf(PostStratify([]Stratum{{Population: 3}}, 0.95)), Lack{TooFew, 0, 1}},
		"weights for an unasked tier": {errOf(PostStratify([]Stratum{{3, some}, {3, nil}}, 0.95)), Lack{Uncovered, 10, 0}},
		"one aspect":                  {errOf(Quadrants([]Aspect{{1, 2}})), Lack{OneGroup, 1, 0}},
		"equally important":           {errOf(Quadrants([]Aspect{{1, 2}, {1, 3}})), Lack{NoVariance, 2, 0}},
		"shortfall of none":           {errOf(Shortfall(nil, RatingScale)), Lack{TooFew, 0, 1}},
	} {
		got := AsLack(c.err)
		if got == nil || *got != c.want {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
			continue
		}
		if text := got.Explain(Name{EN: "x", ZH: "某项"}); strings.Contains(text.EN+text.ZH, "%!") {
			t.Errorf("%s: %v", name, text)
		}
	}
}

func TestFiguresWithoutIntervals(t *testing.T) {
	one, equal, some := Counts{n(4, 1)}, Counts{n(4, 9)}, Counts{n(2, 5), n(4, 5)}
	line := Pairs{{1, 2, 3}, {2, 4, 3}}
	if e, err := MeanInterval(equal, 0.95); err != nil || e.Value != 4 || e.Interval != nil || *e.Why != (Lack{NoVariance, 9, 0}) {
		t.Errorf("equal answers: %+v %v", e, err)
	}
	if e, err := NPS(Counts{n(10, 1)}, 0.95); err != nil || e.Value != 100 || e.Interval != nil || *e.Why != (Lack{TooFew, 1, 2}) {
		t.Errorf("one promoter: %+v %v", e, err)
	}
	if c, err := Pearson(line, 0.95); err != nil || c.R != 1 || c.P != 0 || c.Interval != nil || c.Why.Reason != NoVariance {
		t.Errorf("a line: %+v %v", c, err)
	}
	if s, err := Regression(line, 0.95); err != nil || s.Value != 2 || s.P != 0 || s.Interval != nil {
		t.Errorf("slope of a line: %+v %v", s, err)
	}
	if w, err := PostStratify([]Stratum{{1, one}, {1, some}, {0, equal}}, 0.95); err != nil || w.Value != 3.5 || w.Interval != nil || w.Weights[2] != 0 {
		t.Errorf("weights with one answer: %+v %v", w, err)
	}
	if d, err := Welch(equal, some, 0.95); err != nil || d.Value != 1 || d.DF != 9 {
		t.Errorf("variance in one group alone: %+v %v", d, err)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	negative, huge, outside := Counts{n(3, -1)}, Counts{n(3, MaxAnswers), n(4, 1)}, Counts{n(12, 1)}
	some := Counts{n(2, 5), n(4, 5)}
	for name, err := range map[string]error{
		"negative count":      errOf(Mean(negative)),
		"too many":            errOf(Deviation(huge)),
		"level 0":             errOf(MeanInterval(some, 0)),
		"level 1":             errOf(Share(1, 2, 1)),
		"level NaN":           errOf(Pearson(Pairs{{1, 2, 3}}, math.NaN())),
		"more than all":       errOf(Share(3, 2, 0.95)),
		"outside of NPS":      errOf(NPS(outside, 0.95)),
		"outside of CSAT":     errOf(CSAT(Counts{n(0, 1)}, 0.95)),
		"outside of CES":      errOf(CES(Counts{n(0, 1)}, 0.95)),
		"scale of one step":   errOf(Distribution(some, Scale{3, 3})),
		"scale without end":   errOf(Distribution(some, Scale{math.MinInt32, math.MaxInt32})),
		"negative pair":       errOf(Spearman(Pairs{{1, 2, -3}}, 0.95)),
		"negative group":      errOf(ANOVA([]Counts{some, negative})),
		"negative in Welch":   errOf(Welch(some, negative, 0.95)),
		"groups too large":    errOf(KruskalWallis([]Counts{{n(1, MaxAnswers)}, {n(2, MaxAnswers)}})),
		"ragged table":        errOf(ChiSquare([][]int64{{1, 2}, {3}})),
		"negative cell":       errOf(ChiSquare([][]int64{{1, -2}, {3, 1}})),
		"negative population": errOf(PostStratify([]Stratum{{-1, some}}, 0.95)),
		"negative stratum":    errOf(PostStratify([]Stratum{{1, negative}}, 0.95)),
		"importance NaN":      errOf(Quadrants([]Aspect{{math.NaN(), 1}, {1, 2}})),
		"share above 1":       errOf(RankProblems([]Problem{{Key: "x", Share: 2}})),
		"importance above 1":  errOf(RankProblems([]Problem{{Key: "x", Importance: math.NaN()}})),
		"negative period":     errOf(TrendOf([]Counts{some, negative}, 0.95)),
		"trend's level":       errOf(TrendOf(nil, 2)),
	} {
		if err == nil || AsLack(err) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQuadrantsAndProblems(t *testing.T) {
	got, err := Quadrants([]Aspect{{0.9, 2}, {0.8, 4.5}, {0.1, 2.5}, {0.2, 4}})
	want := []Quadrant{Concentrate, KeepUp, LowPriority, Overkill}
	for i := range want {
		if err != nil || got[i] != want[i] {
			t.Errorf("aspect %d: %v %v, want %v", i, got, err, want[i])
		}
		if text := want[i].Explain(Name{EN: "x", ZH: "某项"}); !strings.HasPrefix(text.EN, "x matters") {
			t.Error(text)
		}
	}
	ranked, err := RankProblems([]Problem{
		{Key: "b", Importance: 0.5, Shortfall: 0.5, Share: 0.5}, {Key: "a", Importance: 0.5, Shortfall: 0.5, Share: 0.5},
		{Key: "against", Importance: -0.9, Shortfall: 1, Share: 1}, {Key: "heavy", Importance: 0.9, Shortfall: 0.9, Share: 0.9},
		{Key: "grave", Severity: 2, Importance: 0.1, Shortfall: 0.1, Share: 0.1},
	})
	order := ""
	for i, p := range ranked {
		order += p.Key + " "
		if text := p.Explain(i+1, Name{EN: p.Key, ZH: p.Key}); strings.Contains(text.EN+text.ZH, "%!") {
			t.Error(text)
		}
	}
	if err != nil || order != "grave heavy a b against " {
		t.Errorf("%s %v", order, err)
	}
}

func TestTrend(t *testing.T) {
	trend, err := TrendOf([]Counts{{n(1, 5), n(2, 5)}, nil, {n(3, 1)}, {n(3, 5), n(4, 5)}, {n(4, 5), n(5, 5)}}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	p := trend.Points
	if p[0].Change != nil || p[0].ChangeWhy != nil || p[0].Mean.Value != 1.5 ||
		p[1].Mean != nil || *p[1].Why != (Lack{TooFew, 0, 1}) || p[1].ChangeWhy.Reason != TooFew ||
		p[2].Mean.Interval != nil || p[4].Change.Value != 1 || trend.Slope.Value <= 0.5 || trend.Slope.P > 0.001 {
		t.Errorf("trend %+v", trend)
	}
	if empty, err := TrendOf(nil, 0.95); err != nil || len(empty.Points) != 0 || empty.SlopeWhy.Reason != TooFew {
		t.Errorf("no periods: %+v %v", empty, err)
	}
}

// Every sentence is written with every kind of figure.
func TestSentences(t *testing.T) {
	x, y, g := Name{EN: "speed", ZH: "速度"}, Name{EN: "overall", ZH: "总体"}, Name{EN: "tier", ZH: "等级"}
	level := &Interval{Low: 1, High: 2, Level: 0.95}
	var texts []rpcerr.Text
	for _, e := range []Estimate{{9, 1.5, level, nil}, {1, 1.5, nil, &Lack{TooFew, 1, 2}}} {
		texts = append(texts, e.ExplainMean(x), e.ExplainTopTwo(x), e.ExplainShare(x, Name{EN: "100% satisfied", ZH: "100% 满意"}), e.ExplainNPS(x), e.ExplainCES(x), e.ExplainResponseRate(x),
			Weighted{Estimate: e, EffectiveN: 7}.ExplainWeighted(x))
	}
	for _, p := range []float64{0.0001, 0.04, 0.5} {
		for _, r := range []float64{0.05, 0.6, -0.2} {
			texts = append(texts, Correlation{N: 9, R: r, P: p, Interval: level}.Explain(x, y),
				Correlation{N: 9, R: r, P: p, Why: &Lack{NoVariance, 9, 0}}.Explain(x, y),
				Difference{Value: r, Effect: r, P: p, Interval: *level, EffectInterval: *level}.Explain(x, y, g, p),
				Slope{Value: r, P: p, Interval: level}.Explain(x))
		}
		for _, test := range []Test{ANOVATest, WelchTest, KruskalTest, ChiSquareTest} {
			texts = append(texts, Comparison{N: 9, Statistic: 3, DF1: 2, DF2: 7.5, P: p, Effect: 0.1}.Explain(test, x, g, p))
		}
	}
	for _, text := range texts {
		if strings.Contains(text.EN+text.ZH, "%!") || !strings.HasSuffix(text.EN, ".") || !strings.HasSuffix(text.ZH, "。") ||
			strings.Contains(text.EN, "速") || strings.Contains(text.ZH, "speed") {
			t.Errorf("%s\n%s", text.EN, text.ZH)
		}
	}
	want := "The mean of speed is 1.50 (95% interval 1.00 to 2.00; answers: 9)."
	if texts[0].EN != want || texts[0].ZH != "「速度」的平均分为 1.50（95% 置信区间 1.00 至 2.00；9 份回答）。" {
		t.Errorf("%s\n%s", texts[0].EN, texts[0].ZH)
	}
}

func TestKnownValues(t *testing.T) {
	// R: sd(c(2,4,4,4,5,5,7,9)) = sqrt(32/7).
	sd, err := Deviation(Counts{n(2, 1), n(4, 3), n(5, 2), n(7, 1), n(9, 1)})
	if err != nil || !closeTo(sd, math.Sqrt(32.0/7)) {
		t.Errorf("deviation %v %v", sd, err)
	}
	// A million of each: the divisor still is n - 1.
	sd, err = Deviation(Counts{n(1, 1e6), n(2, 1e6), n(3, 1e6), n(4, 1e6), n(5, 1e6)})
	if err != nil || !closeTo(sd, math.Sqrt(1e7/(5e6-1))) {
		t.Errorf("deviation %v %v", sd, err)
	}
	for score, want := range map[int32]float64{0: -100, 6: -100, 7: 0, 8: 0, 9: 100, 10: 100} {
		if got, err := NPS(Counts{n(score, 3)}, 0.95); err != nil || got.Value != want {
			t.Errorf("NPS of %d alone is %v %v, want %v", score, got, err, want)
		}
	}
	// R: prop.test(40, 100, correct = FALSE)$conf.int = 0.3094013 0.4979974.
	top, err := CSAT(Counts{n(1, 10), n(2, 20), n(3, 30), n(4, 25), n(5, 15)}, 0.95)
	if err != nil || top.Value != 0.4 || math.Abs(top.Interval.Low-0.3094013) > 1e-7 || math.Abs(top.Interval.High-0.4979974) > 1e-7 {
		t.Errorf("CSAT %+v %v", top, err)
	}
	bars, err := Distribution(Counts{n(2, 3), n(2, 1)}, RatingScale)
	if err != nil || len(bars) != 5 || bars[1] != (Bucket{2, 4, 1}) || bars[4] != (Bucket{5, 0, 0}) {
		t.Errorf("distribution %v %v", bars, err)
	}
}
