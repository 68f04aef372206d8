package analysis

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// moments are the sums that the figures of scores are made of. They are taken around the
// mean, so that scores far from zero lose no digits.
type moments struct {
	n, mean, squares float64
	distinct         int
}

// momentsOf takes an ordered table with answers.
func momentsOf(c Counts) moments {
	m := moments{n: float64(c.N()), distinct: len(c)}
	base := float64(c[0].Score)
	for _, entry := range c {
		m.mean += (float64(entry.Score) - base) * float64(entry.N)
	}
	m.mean = base + m.mean/m.n
	for _, entry := range c {
		d := float64(entry.Score) - m.mean
		m.squares += d * d * float64(entry.N)
	}
	return m
}

// variance is that of a sample, divisor n - 1.
func (m moments) variance() float64 { return m.squares / (m.n - 1) }

// tQuantile is how many standard errors an interval of the level reaches to each side.
func tQuantile(level, df float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(0.5 + level/2)
}

func normalQuantile(level float64) float64 { return distuv.UnitNormal.Quantile(0.5 + level/2) }

// tTails is the probability of a t statistic as far from zero as t or farther. It is taken
// from the tail itself: 1 minus the rest would have no digits left where it is small.
func tTails(t, df float64) float64 { return mathext.RegIncBeta(df/2, 0.5, df/(df+t*t)) }

// fTail is the probability of an F statistic as great as f or greater.
func fTail(f, df1, df2 float64) float64 {
	if f <= 0 {
		return 1
	}
	return mathext.RegIncBeta(df2/2, df1/2, df2/(df2+df1*f))
}

func chiTail(x, df float64) float64 { return distuv.ChiSquared{K: df}.Survival(x) }

// around is the interval of half a width at both sides of a value.
func around(value, half, level float64) *Interval {
	return &Interval{Low: value - half, High: value + half, Level: level}
}

// fisher is the interval of a correlation on Fisher's z scale with that standard error.
func fisher(r, standardError, level float64) *Interval {
	z, half := math.Atanh(r), normalQuantile(level)*standardError
	return &Interval{Low: math.Tanh(z - half), High: math.Tanh(z + half), Level: level}
}
