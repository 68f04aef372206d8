package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Number is how often a number was given.
type Number struct {
	Value float64
	N     int64
}

// Numbers is the frequency table of a question that is answered with numbers of no scale. The
// order of its entries does not matter; entries of one value add up.
type Numbers []Number

// Summary says how numbers lie.
type Summary struct {
	N                             int64
	Least, Median, Greatest, Mean float64
	// Deviation is the sample standard deviation; nil of a single number.
	Deviation *float64
}

// Summarise gives the extremes, the median (of an even number of answers the mean of the two in
// the middle), the mean and the sample standard deviation. No answers: TooFew. Source: any
// textbook; R's summary and sd.
func Summarise(table Numbers) (Summary, error) {
	given := make(Numbers, 0, len(table))
	var out Summary
	for _, entry := range table {
		if entry.N < 0 || entry.N > MaxAnswers || math.IsNaN(entry.Value) || math.IsInf(entry.Value, 0) {
			return out, fmt.Errorf("analysis: %v was given %d times", entry.Value, entry.N)
		}
		if entry.N > 0 {
			given = append(given, entry)
			out.N += entry.N
		}
	}
	if out.N == 0 {
		return out, &Lack{Reason: TooFew, Need: 1}
	}
	slices.SortFunc(given, func(a, b Number) int { return cmp.Compare(a.Value, b.Value) })
	out.Least, out.Greatest = given[0].Value, given[len(given)-1].Value
	out.Median = given.at((out.N-1)/2)/2 + given.at(out.N/2)/2
	// Around the least, so that numbers far from zero lose no digits.
	for _, entry := range given {
		out.Mean += (entry.Value - out.Least) * (float64(entry.N) / float64(out.N))
	}
	out.Mean += out.Least
	if out.N > 1 {
		squares := 0.0
		for _, entry := range given {
			d := entry.Value - out.Mean
			squares += d * d * float64(entry.N)
		}
		deviation := math.Sqrt(squares / float64(out.N-1))
		out.Deviation = &deviation
	}
	return out, nil
}

// at is the number in a place of an ordered table, the first being 0.
func (t Numbers) at(place int64) float64 {
	for _, entry := range t {
		if place -= entry.N; place < 0 {
			return entry.Value
		}
	}
	return t[len(t)-1].Value
}
