package analysis_test

import (
	"math"
	"testing"

	. "github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

func TestSummarise(t *testing.T) {
	for name, c := range map[string]struct {
		table                                 Numbers
		n                                     int64
		least, median, greatest, mean, spread float64
	}{
		"one":        {Numbers{{-2.5, 1}}, 1, -2.5, -2.5, -2.5, -2.5, -1},
		"odd":        {Numbers{{9, 1}, {1, 1}, {2, 1}}, 3, 1, 2, 9, 4, math.Sqrt(19)},
		"even":       {Numbers{{4, 1}, {1, 1}, {3, 1}, {2, 1}}, 4, 1, 2.5, 4, 2.5, math.Sqrt(5.0 / 3)},
		"twice":      {Numbers{{1, 2}, {8, 1}, {8, 2}}, 5, 1, 8, 8, 5.2, math.Sqrt(58.8 / 4)},
		"taken back": {Numbers{{100, 0}, {5, 2}}, 2, 5, 5, 5, 5, 0},
		// The sum of squares of the numbers themselves would have no digit left of the spread.
		"far from zero": {Numbers{{999_999_999, 1}, {999_999_998, 1}}, 2, 999_999_998, 999_999_998.5, 999_999_999, 999_999_998.5, math.Sqrt(0.5)},
	} {
		got, err := Summarise(c.table)
		if err != nil || got.N != c.n || got.Least != c.least || got.Median != c.median || got.Greatest != c.greatest || math.Abs(got.Mean-c.mean) > 1e-9 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if c.spread < 0 && got.Deviation != nil || c.spread >= 0 && (got.Deviation == nil || math.Abs(*got.Deviation-c.spread) > 1e-9) {
			t.Errorf("%s: deviation %v, want %v", name, got.Deviation, c.spread)
		}
	}
	for name, table := range map[string]Numbers{"none": nil, "none left": {{3, 0}}} {
		if lack := AsLack(errOf(Summarise(table))); lack == nil || *lack != (Lack{TooFew, 0, 1}) {
			t.Errorf("%s: %v", name, lack)
		}
	}
	for name, entry := range map[string]Number{"negative": {1, -1}, "no number": {math.NaN(), 1}, "infinite": {math.Inf(1), 1}} {
		if err := errOf(Summarise(Numbers{entry})); err == nil || AsLack(err) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
