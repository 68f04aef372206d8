// Package statistics computes the figures of a question from how often each score was given.
package statistics

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// Count is how often a score was given.
type Count struct {
	Score int32
	N     int64
}

// N is the number of scores.
func N(counts []Count) int64 {
	var n int64
	for _, c := range counts {
		n += c.N
	}
	return n
}

// MeanDeviation gives the arithmetic mean and the sample standard deviation (divisor
// n - 1). Without scores there is no mean, with less than two no deviation: then they are nil.
func MeanDeviation(counts []Count) (mean, deviation *float64) {
	values, weights := make([]float64, 0, len(counts)), make([]float64, 0, len(counts))
	for _, c := range counts {
		values, weights = append(values, float64(c.Score)), append(weights, float64(c.N))
	}
	switch N(counts) {
	case 0:
		return nil, nil
	case 1:
		m := stat.Mean(values, weights)
		return &m, nil
	}
	m, variance := stat.MeanVariance(values, weights)
	// Equal scores may leave a variance just below zero.
	d := math.Sqrt(max(variance, 0))
	return &m, &d
}

// TopTwo is the share of the ratings 4 and 5, nil without ratings.
func TopTwo(counts []Count) *float64 {
	n := N(counts)
	if n == 0 {
		return nil
	}
	share := float64(between(counts, 4, 5)) / float64(n)
	return &share
}

// NetPromoter is the share of 9 and 10 minus that of 0 to 6, times 100, nil without scores.
func NetPromoter(counts []Count) *float64 {
	n := N(counts)
	if n == 0 {
		return nil
	}
	score := float64(between(counts, 9, 10)-between(counts, 0, 6)) / float64(n) * 100
	return &score
}

func between(counts []Count, least, greatest int32) int64 {
	var n int64
	for _, c := range counts {
		if c.Score >= least && c.Score <= greatest {
			n += c.N
		}
	}
	return n
}

// Share is count / n, 0 when n is 0.
func Share(count, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(count) / float64(n)
}
