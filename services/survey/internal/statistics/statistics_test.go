package statistics_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/survey/internal/statistics"
)

func ratings(n1, n2, n3, n4, n5 int64) []statistics.Count {
	return []statistics.Count{{Score: 1, N: n1}, {Score: 2, N: n2}, {Score: 3, N: n3}, {Score: 4, N: n4}, {Score: 5, N: n5}}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }

// The expected values are worked by hand as closed forms: the sum of the squared deviations
// over n - 1 under the root, which is what R's sd() computes. Beside each stands the R
// expression with the digits it prints.
func TestMeanDeviationAgainstKnownValues(t *testing.T) {
	for name, c := range map[string]struct {
		counts []statistics.Count
		mean   float64
		sd     float64
	}{
		// sd(c(2,4,4,4,5,5,7,9)) = sqrt(32/7) = 2.13809
		"textbook": {[]statistics.Count{{2, 1}, {4, 3}, {5, 2}, {7, 1}, {9, 1}}, 5, math.Sqrt(32.0 / 7)},
		// sd(1:5) = sqrt(2.5) = 1.581139
		"1 to 5": {ratings(1, 1, 1, 1, 1), 3, math.Sqrt(2.5)},
		// sd(0:10) = sqrt(11) = 3.316625
		"0 to 10": {[]statistics.Count{{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1}, {9, 1}, {10, 1}}, 5, math.Sqrt(11)},
		// sd(c(1,5)) = 2.828427
		"two far apart": {ratings(1, 0, 0, 0, 1), 3, 2 * math.Sqrt2},
		// sd(c(4,4,4)) = 0
		"all equal": {ratings(0, 0, 0, 3, 0), 4, 0},
		// x <- rep(1:5, c(10,20,30,25,15)); mean(x) = 3.15;
		// sum(x^2) - 100 * 3.15^2 = 1135 - 992.25 = 142.75; sd(x) = 1.200799
		"a hundred": {ratings(10, 20, 30, 25, 15), 3.15, math.Sqrt(142.75 / 99)},
		// A million of each: the divisor still is n - 1.
		"five million": {ratings(1e6, 1e6, 1e6, 1e6, 1e6), 3, math.Sqrt(1e7 / (5e6 - 1))},
	} {
		mean, sd := statistics.MeanDeviation(c.counts)
		if mean == nil || sd == nil || !near(*mean, c.mean) || !near(*sd, c.sd) {
			t.Errorf("%s: got %v %v, want %v %v", name, show(mean), show(sd), c.mean, c.sd)
		}
	}
}

func show(f *float64) any {
	if f == nil {
		return "none"
	}
	return *f
}

func TestTooFewScores(t *testing.T) {
	for _, counts := range [][]statistics.Count{nil, ratings(0, 0, 0, 0, 0)} {
		mean, sd := statistics.MeanDeviation(counts)
		if mean != nil || sd != nil || statistics.TopTwo(counts) != nil || statistics.NetPromoter(counts) != nil {
			t.Errorf("%v: figures of nothing", counts)
		}
	}
	mean, sd := statistics.MeanDeviation(ratings(0, 0, 0, 1, 0))
	if mean == nil || *mean != 4 || sd != nil {
		t.Errorf("one score: mean %v, deviation %v", show(mean), show(sd))
	}
}

func TestTopTwoAndNetPromoter(t *testing.T) {
	// 25 + 15 of 100.
	if got := statistics.TopTwo(ratings(10, 20, 30, 25, 15)); got == nil || !near(*got, 0.4) {
		t.Errorf("top two %v", show(got))
	}
	// 7 promoters, 1 passive (8), 2 detractors (6 and 0) of 10: 50.
	nps := []statistics.Count{{0, 1}, {6, 1}, {8, 1}, {9, 3}, {10, 4}}
	if got := statistics.NetPromoter(nps); got == nil || !near(*got, 50) {
		t.Errorf("NPS %v", show(got))
	}
	for score, want := range map[int32]float64{0: -100, 6: -100, 7: 0, 8: 0, 9: 100, 10: 100} {
		if got := statistics.NetPromoter([]statistics.Count{{score, 3}}); got == nil || *got != want {
			t.Errorf("NPS of %d alone is %v, want %v", score, show(got), want)
		}
	}
}

// naive computes mean and variance in two passes over the single scores, exactly.
func naive(scores []int64) (mean, variance *big.Rat) {
	n := new(big.Rat).SetInt64(int64(len(scores)))
	sum := new(big.Rat)
	for _, s := range scores {
		sum.Add(sum, new(big.Rat).SetInt64(s))
	}
	mean = new(big.Rat).Quo(sum, n)
	squares := new(big.Rat)
	for _, s := range scores {
		d := new(big.Rat).Sub(new(big.Rat).SetInt64(s), mean)
		squares.Add(squares, d.Mul(d, d))
	}
	return mean, squares.Quo(squares, new(big.Rat).SetInt64(int64(len(scores)-1)))
}

func TestMeanDeviationAgainstExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Int64Range(0, 10), 2, 300).Draw(t, "scores")
		counts := make([]statistics.Count, 11)
		for i := range counts {
			counts[i].Score = int32(i)
		}
		for _, s := range scores {
			counts[s].N++
		}
		mean, sd := statistics.MeanDeviation(counts)
		wantMean, wantVariance := naive(scores)
		m, _ := wantMean.Float64()
		v, _ := wantVariance.Float64()
		if mean == nil || sd == nil || !near(*mean, m) || !near(*sd, math.Sqrt(v)) {
			t.Fatalf("got %v %v, want %v %v", show(mean), show(sd), m, math.Sqrt(v))
		}
		if n := statistics.N(counts); n != int64(len(scores)) {
			t.Fatalf("n is %d of %d", n, len(scores))
		}
	})
}
