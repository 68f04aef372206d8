package analysis_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	. "github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// The functions here compute from single answers, by the textbook and without any table.

func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func covariance(x, y []float64) float64 {
	mx, my, sum := mean(x), mean(y), 0.0
	for i := range x {
		sum += (x[i] - mx) * (y[i] - my)
	}
	return sum / float64(len(x)-1)
}

func variance(x []float64) float64 { return covariance(x, x) }

// ranked counts for each answer those below it and half of its equals.
func ranked(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		below, equal := 0.0, 0.0
		for _, other := range x {
			if other < v {
				below++
			} else if other == v {
				equal++
			}
		}
		out[i] = below + (equal+1)/2
	}
	return out
}

func floats(scores []int32) []float64 {
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = float64(s)
	}
	return out
}

func expect(t *rapid.T, what string, got, want float64) {
	t.Helper()
	if !closeTo(got, want) {
		t.Fatalf("%s is %v, from the single answers %v", what, got, want)
	}
}

func TestOneQuestionAgainstRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.SliceOfN(rapid.Int32Range(0, 10), 2, 60).Draw(t, "scores")
		counts, rows := answersOf(given), floats(given)
		m, err := MeanInterval(counts, 0.95)
		sd, errSD := Deviation(counts)
		if err != nil || errSD != nil {
			t.Fatal(err, errSD)
		}
		expect(t, "mean", m.Value, mean(rows))
		expect(t, "deviation", sd, math.Sqrt(max(variance(rows), 0)))
		if m.Interval != nil {
			expect(t, "middle", (m.Interval.Low+m.Interval.High)/2, m.Value)
		}
		var recoded []float64
		for _, v := range rows {
			switch {
			case v >= 9:
				recoded = append(recoded, 100)
			case v <= 6:
				recoded = append(recoded, -100)
			default:
				recoded = append(recoded, 0)
			}
		}
		nps, err := NPS(counts, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "NPS", nps.Value, mean(recoded))
	})
}

func TestRelationsAgainstRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 60).Draw(t, "n")
		a := rapid.SliceOfN(rapid.Int32Range(1, 5), n, n).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Int32Range(0, 10), n, n).Draw(t, "b")
		x, y := floats(a), floats(b)
		p, err := Pearson(pairsOf(a, b), 0.95)
		s, errS := Spearman(pairsOf(a, b), 0.95)
		slope, errSlope := Regression(pairsOf(a, b), 0.95)
		if variance(x) == 0 || variance(y) == 0 {
			if AsLack(err) == nil || AsLack(errS) == nil || AsLack(errSlope) == nil {
				t.Fatal(err, errS, errSlope)
			}
			return
		}
		expect(t, "r", p.R, covariance(x, y)/math.Sqrt(variance(x)*variance(y)))
		rx, ry := ranked(x), ranked(y)
		expect(t, "rho", s.R, covariance(rx, ry)/math.Sqrt(variance(rx)*variance(ry)))
		expect(t, "slope", slope.Value, covariance(x, y)/variance(x))
	})
}

func TestComparisonsAgainstRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 4).Draw(t, "groups")
		var groups []Counts
		var rows [][]float64
		var all []float64
		for range k {
			given := rapid.SliceOfN(rapid.Int32Range(1, 5), 2, 25).Draw(t, "group")
			groups, rows, all = append(groups, answersOf(given)), append(rows, floats(given)), append(all, floats(given)...)
		}
		n, df := float64(len(all)), float64(k-1)
		if a, err := ANOVA(groups); err == nil {
			var between, within float64
			for _, g := range rows {
				between += float64(len(g)) * math.Pow(mean(g)-mean(all), 2)
				within += variance(g) * float64(len(g)-1)
			}
			expect(t, "F", a.Statistic, between/df/(within/(n-float64(k))))
			expect(t, "eta²", a.Effect, between/(variance(all)*(n-1)))
		}
		if h, err := KruskalWallis(groups); err == nil {
			ranks, sum, at := ranked(all), 0.0, 0
			for _, g := range rows {
				var r float64
				for range g {
					r, at = r+ranks[at], at+1
				}
				sum += r * r / float64(len(g))
			}
			ties := 0.0
			for score := 1.0; score <= 5; score++ {
				var equal float64
				for _, v := range all {
					if v == score {
						equal++
					}
				}
				ties += equal*equal*equal - equal
			}
			expect(t, "H", h.Statistic, (12/(n*(n+1))*sum-3*(n+1))/(1-ties/(n*n*n-n)))
		}
		if d, err := Welch(groups[0], groups[1], 0.95); err == nil {
			va, vb := variance(rows[0])/float64(len(rows[0])), variance(rows[1])/float64(len(rows[1]))
			expect(t, "t", d.T, (mean(rows[0])-mean(rows[1]))/math.Sqrt(va+vb))
			expect(t, "df", d.DF, (va+vb)*(va+vb)/(va*va/float64(len(rows[0])-1)+vb*vb/float64(len(rows[1])-1)))
		}
	})
}

func TestWeightsAgainstRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 4).Draw(t, "strata")
		var strata []Stratum
		var population, n float64
		for range k {
			s := Stratum{
				Population: rapid.Int64Range(1, 1000).Draw(t, "population"),
				Answers:    answersOf(rapid.SliceOfN(rapid.Int32Range(1, 5), 1, 20).Draw(t, "answers")),
			}
			strata, population, n = append(strata, s), population+float64(s.Population), n+float64(s.Answers.N())
		}
		w, err := PostStratify(strata, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		var weighted, weights, squares float64
		for _, s := range strata {
			for _, answer := range s.Answers { // one entry an answer
				weight := float64(s.Population) / population / (float64(s.Answers.N()) / n)
				weighted, weights, squares = weighted+weight*float64(answer.Score), weights+weight, squares+weight*weight
			}
		}
		expect(t, "weighted mean", w.Value, weighted/weights)
		expect(t, "effective n", w.EffectiveN, weights*weights/squares)
	})
}
