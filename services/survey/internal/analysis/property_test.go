package analysis_test

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// closeTo tells whether two numbers are equal but for rounding.
func closeTo(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

// same compares two outcomes: lacks by what they say, figures number by number but for rounding.
func same(a any, errA error, b any, errB error) bool {
	if errA != nil || errB != nil {
		return reflect.DeepEqual(AsLack(errA), AsLack(errB)) && (AsLack(errA) != nil || (errA != nil) == (errB != nil))
	}
	return alike(reflect.ValueOf(a), reflect.ValueOf(b))
}

func alike(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Float64:
		return closeTo(a.Float(), b.Float())
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return alike(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !alike(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !alike(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
}

var scores = rapid.SliceOfN(rapid.Int32Range(1, 5), 0, 60)

func answersOf(scores []int32) Counts {
	var out Counts
	for _, s := range scores {
		out = append(out, Count{Score: s, N: 1})
	}
	return out
}

func pairsOf(x, y []int32) Pairs {
	var out Pairs
	for i := range min(len(x), len(y)) {
		out = append(out, Pair{X: x[i], Y: y[i], N: 1})
	}
	return out
}

// outcome is what a function of one table gives.
type outcome struct {
	name  string
	value any
	err   error
}

func of[T any](name string, value T, err error) outcome { return outcome{name, value, err} }

// single computes all figures of one question.
func single(c Counts) []outcome {
	mean, meanErr := Mean(c)
	sd, sdErr := Deviation(c)
	interval, intervalErr := MeanInterval(c, 0.95)
	top, topErr := CSAT(c, 0.95)
	nps, npsErr := NPS(c, 0.95)
	ces, cesErr := CES(c, 0.95)
	bars, barsErr := Distribution(c, RatingScale)
	return []outcome{
		of("mean", mean, meanErr), of("deviation", sd, sdErr), of("interval", interval, intervalErr), of("CSAT", top, topErr),
		of("NPS", nps, npsErr), of("CES", ces, cesErr), of("distribution", bars, barsErr),
	}
}

// double computes all figures of two questions.
func double(p Pairs) []outcome {
	pearson, pearsonErr := Pearson(p, 0.95)
	spearman, spearmanErr := Spearman(p, 0.95)
	slope, slopeErr := Regression(p, 0.95)
	return []outcome{of("Pearson", pearson, pearsonErr), of("Spearman", spearman, spearmanErr), of("slope", slope, slopeErr)}
}

// several computes all comparisons of groups, whose scores are 0 to 10.
func several(groups []Counts) []outcome {
	chi, err := ChiSquare(rectangle(groups))
	return append(comparisons(groups), of("chi-square", chi, err))
}

func expectSame(t *rapid.T, a, b []outcome) {
	t.Helper()
	for i := range a {
		if !same(a[i].value, a[i].err, b[i].value, b[i].err) {
			t.Fatalf("%s: %+v %v, and %+v %v", a[i].name, a[i].value, a[i].err, b[i].value, b[i].err)
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := answersOf(scores.Draw(t, "x")), answersOf(scores.Draw(t, "y"))
		shuffledX, shuffledY := rapid.Permutation(x).Draw(t, "shuffled x"), rapid.Permutation(y).Draw(t, "shuffled y")
		expectSame(t, single(x), single(shuffledX))
		expectSame(t, several([]Counts{x, y}), several([]Counts{shuffledX, shuffledY}))
		expectSame(t, several([]Counts{x, y}), several([]Counts{y, x}))
		if joint := pairsOf(scores.Draw(t, "a"), scores.Draw(t, "b")); len(joint) > 0 {
			expectSame(t, double(joint), double(rapid.Permutation(joint).Draw(t, "shuffled")))
		}
		// To the last bit where the table alone changes its order.
		a, errA := MeanInterval(x, 0.95)
		b, errB := MeanInterval(shuffledX, 0.95)
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(errA, errB) {
			t.Fatalf("%+v %v, and %+v %v", a, errA, b, errB)
		}
	})
}

// Scores moved and stretched move means and stretch differences; tests and effects stay.
func TestScaleDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := answersOf(scores.Draw(t, "x")), answersOf(scores.Draw(t, "y"))
		by, to := rapid.Int32Range(1, 1000).Draw(t, "by"), rapid.Int32Range(-1_000_000, 1_000_000).Draw(t, "to")
		a, errA := MeanInterval(x, 0.95)
		b, errB := MeanInterval(moved(x, by, to), 0.95)
		if errA == nil {
			a.Value = a.Value*float64(by) + float64(to)
			if a.Interval != nil {
				a.Interval.Low, a.Interval.High = a.Interval.Low*float64(by)+float64(to), a.Interval.High*float64(by)+float64(to)
			}
		}
		if !same(a, errA, b, errB) {
			t.Fatalf("%+v %v, and %+v %v", a, errA, b, errB)
		}
		d, errD := Welch(x, y, 0.95)
		e, errE := Welch(moved(x, by, to), moved(y, by, to), 0.95)
		d.Value, d.Interval.Low, d.Interval.High = d.Value*float64(by), d.Interval.Low*float64(by), d.Interval.High*float64(by)
		if !same(d, errD, e, errE) {
			t.Fatalf("%+v %v, and %+v %v", d, errD, e, errE)
		}
		groups, stretched := []Counts{x, y, answersOf(scores.Draw(t, "z"))}, []Counts{}
		for _, g := range groups {
			stretched = append(stretched, moved(g, by, to))
		}
		expectSame(t, comparisons(groups), comparisons(stretched))
		joint := pairsOf(scores.Draw(t, "a"), scores.Draw(t, "b"))
		expectSame(t, double(joint)[:2], double(stretchedPairs(joint, by, to))[:2])
	})
}

// comparisons are those of scores of any size.
func comparisons(groups []Counts) []outcome {
	anova, anovaErr := ANOVA(groups)
	welch, welchErr := WelchANOVA(groups)
	kruskal, kruskalErr := KruskalWallis(groups)
	return []outcome{of("ANOVA", anova, anovaErr), of("Welch", welch, welchErr), of("Kruskal-Wallis", kruskal, kruskalErr)}
}

func stretchedPairs(p Pairs, by, to int32) Pairs {
	out := slices.Clone(p)
	for i := range out {
		out[i].X = out[i].X*by + to
	}
	return out
}

// Groups of the same distribution differ in nothing, and merging them changes no mean.
func TestIdenticalGroupsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := answersOf(scores.Draw(t, "x"))
		k := rapid.IntRange(2, 5).Draw(t, "groups")
		groups := make([]Counts, k)
		for i := range groups {
			groups[i] = x
		}
		for _, o := range several(groups) {
			if o.err != nil {
				continue
			}
			var c Comparison
			switch v := o.value.(type) {
			case Comparison:
				c = v
			case Independence:
				c = v.Comparison
			}
			if !closeTo(c.P, 1) || c.Effect > 1e-9 {
				t.Fatalf("%s of equal groups: %+v", o.name, c)
			}
		}
		whole := Merge(groups...)
		a, errA := Mean(x)
		b, errB := Mean(whole)
		if !same(a, errA, b, errB) || whole.N() != int64(k)*x.N() {
			t.Fatalf("%v %v, and merged %v %v", a, errA, b, errB)
		}
		// Weights of equal strata are 1, so nothing is lost to them.
		if w, err := PostStratify([]Stratum{{Population: 10, Answers: x}, {Population: 10, Answers: x}}, 0.95); err == nil {
			if !closeTo(w.Value, a) || !closeTo(w.EffectiveN, float64(2*x.N())) || !closeTo(w.Weights[0], 1) {
				t.Fatalf("weighted %+v, plain %v", w, a)
			}
		}
	})
}

// An empty group changes no comparison.
func TestEmptyGroupsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := answersOf(scores.Draw(t, "x")), answersOf(scores.Draw(t, "y"))
		expectSame(t, several([]Counts{x, y}), several([]Counts{nil, x, {{Score: 3}}, y}))
	})
}

func TestTwoGroupsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := answersOf(scores.Draw(t, "x")), answersOf(scores.Draw(t, "y"))
		d, err := Welch(x, y, 0.95)
		w, errW := WelchANOVA([]Counts{x, y})
		if err == nil && errW == nil && (!closeTo(d.T*d.T, w.Statistic) || !closeTo(d.DF, w.DF2) || !closeTo(d.P, w.P)) {
			t.Fatalf("t-test %+v, ANOVA %+v", d, w)
		}
		back, errBack := Welch(y, x, 0.95)
		if err == nil && (errBack != nil || !closeTo(d.Value, -back.Value) || !closeTo(d.P, back.P)) {
			t.Fatalf("%+v, and back %+v", d, back)
		}
	})
}

func TestHolm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "p")
		got, err := Holm(p)
		if err != nil {
			t.Fatal(err)
		}
		for i := range p {
			// By the definition: the greatest of the products up to its place.
			want := 0.0
			for j := range p {
				if p[j] <= p[i] {
					rank := 0
					for _, other := range p {
						if other < p[j] {
							rank++
						}
					}
					want = max(want, min(1, p[j]*float64(len(p)-rank)))
				}
			}
			if !closeTo(got[i], want) {
				t.Fatalf("%v of %v is adjusted to %v, want %v", p[i], p, got[i], want)
			}
		}
	})
	for _, p := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
		if _, err := Holm([]float64{p}); err == nil || AsLack(err) != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// What is withheld cannot be found from what is shown and the whole.
func TestWithhold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.Int64Range(0, 12), 0, 8).Draw(t, "groups")
		reasons, err := Withhold(groups)
		if err != nil {
			t.Fatal(err)
		}
		var hidden, answers, whole int64
		for i, n := range groups {
			whole += n
			switch {
			case reasons[i] == 0 && n > 0 && n < MinShown, reasons[i] == Withheld && n >= MinShown, reasons[i] != 0 && n == 0:
				t.Fatalf("%v: %v", groups, reasons)
			case reasons[i] != 0:
				hidden, answers = hidden+1, answers+n
			}
		}
		// The whole less what is shown: 5 answers or more of two groups or more.
		if whole >= MinShown && hidden > 0 && (hidden < 2 || answers < MinShown) {
			t.Fatalf("%v: %v leaves %d answers of %d groups", groups, reasons, answers, hidden)
		}
	})
	for _, c := range []struct {
		groups []int64
		want   []Reason
	}{
		{[]int64{5, 5}, []Reason{0, 0}},
		{[]int64{4, 5, 6}, []Reason{Withheld, WithheldComplement, 0}},
		{[]int64{100, 3}, []Reason{WithheldComplement, Withheld}},
		{[]int64{3, 2, 9}, []Reason{Withheld, Withheld, 0}},
		{[]int64{2, 2, 5, 9}, []Reason{Withheld, Withheld, WithheldComplement, 0}},
		{[]int64{0, 3}, []Reason{0, Withheld}},
	} {
		if got, err := Withhold(c.groups); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v %v, want %v", c.groups, got, err, c.want)
		}
	}
	if _, err := Withhold([]int64{-1}); err == nil {
		t.Error("a negative count is no error")
	}
	for _, c := range []struct {
		part, whole int64
		want        Reason
	}{{0, 0, 0}, {0, 9, 0}, {4, 9, Withheld}, {5, 9, WithheldComplement}, {5, 10, 0}, {9, 9, 0}, {3, 3, Withheld}} {
		if got, err := WithholdPart(c.part, c.whole); err != nil || got != c.want {
			t.Errorf("%d of %d: %v %v", c.part, c.whole, got, err)
		}
	}
	if _, err := WithholdPart(3, 2); err == nil {
		t.Error("a part greater than the whole is no error")
	}
}

// rectangle is the table of groups by score.
func rectangle(groups []Counts) [][]int64 {
	out := make([][]int64, len(groups))
	for i, group := range groups {
		out[i] = make([]int64, 11)
		for _, c := range group {
			out[i][c.Score] += c.N
		}
	}
	return out
}

// moved stretches and moves the scores.
func moved(c Counts, by, to int32) Counts {
	out := slices.Clone(c)
	for i := range out {
		out[i].Score = out[i].Score*by + to
	}
	return out
}
