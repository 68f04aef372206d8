package analysis

import (
	"fmt"
	"math"
)

// Scale is the range of scores that a question allows.
type Scale struct{ Least, Greatest int32 }

// The scales of the questions that have an index of their own.
var (
	RatingScale = Scale{1, 5}
	NPSScale    = Scale{0, 10}
	EffortScale = Scale{1, 7}
)

// Mean is the arithmetic mean, Σx/n. It treats the steps of a scale as equally wide. No
// answers: TooFew. Source: any textbook; R's mean.
func Mean(c Counts) (float64, error) {
	table, err := ordered(c)
	if err != nil {
		return 0, err
	}
	if len(table) == 0 {
		return 0, &Lack{Reason: TooFew, Need: 1}
	}
	return momentsOf(table).mean, nil
}

// Deviation is the sample standard deviation, √(Σ(x-x̄)²/(n-1)). One answer or none: TooFew.
// Equal answers: 0. Source: any textbook; R's sd.
func Deviation(c Counts) (float64, error) {
	table, err := ordered(c)
	if err != nil {
		return 0, err
	}
	if n := table.N(); n < 2 {
		return 0, &Lack{Reason: TooFew, N: n, Need: 2}
	}
	return math.Sqrt(momentsOf(table).variance()), nil
}

// MeanInterval is the mean with its t interval, x̄ ± t(n-1)·s/√n. It assumes that the mean is
// about normally distributed, which a bounded scale meets from some 30 answers on. No answers:
// TooFew. One answer: a mean without an interval, TooFew. Equal answers: a mean without an
// interval, NoVariance, as an interval without width would claim certainty. Source: Student,
// The probable error of a mean, Biometrika 6 (1908); R's t.test.
func MeanInterval(c Counts, level float64) (Estimate, error) {
	table, err := ordered(c)
	if err == nil {
		err = checkLevel(level)
	}
	if err != nil {
		return Estimate{}, err
	}
	if len(table) == 0 {
		return Estimate{}, &Lack{Reason: TooFew, Need: 1}
	}
	m := momentsOf(table)
	out := Estimate{N: table.N(), Value: m.mean}
	switch {
	case out.N < 2:
		out.Why = &Lack{Reason: TooFew, N: out.N, Need: 2}
	case m.distinct < 2:
		out.Why = &Lack{Reason: NoVariance, N: out.N}
	default:
		out.Interval = around(m.mean, tQuantile(level, m.n-1)*math.Sqrt(m.variance()/m.n), level)
	}
	return out, nil
}

// Bucket is one bar of a distribution.
type Bucket struct {
	Score int32
	N     int64
	Share float64
}

// Distribution is how often each score of the scale was given, also those never given, and
// its share of all answers, 0 where there are none.
func Distribution(c Counts, s Scale) ([]Bucket, error) {
	table, err := s.check(c)
	if err != nil {
		return nil, err
	}
	given := map[int32]int64{}
	for _, entry := range table {
		given[entry.Score] = entry.N
	}
	n, out := table.N(), make([]Bucket, 0, s.Greatest-s.Least+1)
	for score := s.Least; score <= s.Greatest; score++ {
		out = append(out, Bucket{Score: score, N: given[score], Share: Part(given[score], n)})
	}
	return out, nil
}

// Part is count / n, 0 when n is 0: the height of a bar, no estimate.
func Part(count, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(count) / float64(n)
}

// maxScale keeps a distribution as short as a questionnaire's scale can be.
const maxScale = 1000

// check orders the table and refuses scores that the scale does not allow.
func (s Scale) check(c Counts) (Counts, error) {
	if s.Least >= s.Greatest || int64(s.Greatest)-int64(s.Least) > maxScale {
		return nil, fmt.Errorf("a scale from %d to %d; it must have from 2 to %d steps", s.Least, s.Greatest, maxScale+1)
	}
	table, err := ordered(c)
	if err != nil {
		return nil, err
	}
	for _, entry := range table {
		if entry.Score < s.Least || entry.Score > s.Greatest {
			return nil, fmt.Errorf("the score %d is outside of the scale from %d to %d", entry.Score, s.Least, s.Greatest)
		}
	}
	return table, nil
}

// Share is the part of n answers that has something, k/n, with Wilson's score interval, which
// stays within 0 and 1 and holds its level also for few answers and for shares of 0 or 1. It
// assumes one chance for all answers. n = 0: TooFew. Source: Wilson, JASA 22 (1927); R's
// prop.test(k, n, correct = FALSE).
func Share(k, n int64, level float64) (Estimate, error) {
	if k < 0 || n < 0 || k > n || n > MaxAnswers {
		return Estimate{}, fmt.Errorf("%d of %d answers; the part is from 0 to the whole, the whole at most %d", k, n, MaxAnswers)
	}
	if err := checkLevel(level); err != nil {
		return Estimate{}, err
	}
	if n == 0 {
		return Estimate{}, &Lack{Reason: TooFew, Need: 1}
	}
	p, size, z := float64(k)/float64(n), float64(n), normalQuantile(level)
	middle := (p + z*z/(2*size)) / (1 + z*z/size)
	half := z / (1 + z*z/size) * math.Sqrt(p*(1-p)/size+z*z/(4*size*size))
	interval := &Interval{Low: max(middle-half, 0), High: min(middle+half, 1), Level: level}
	// At the ends the bound is the share itself, which rounding must not move.
	if k == 0 {
		interval.Low = 0
	}
	if k == n {
		interval.High = 1
	}
	return Estimate{N: n, Value: p, Interval: interval}, nil
}

// ResponseRate is the share of those asked who answered, a Share. Nobody asked: TooFew. More
// answers than invitations make no sense. Source: AAPOR, Standard Definitions, RR1 where every
// invitation counts as eligible.
func ResponseRate(answered, asked int64, level float64) (Estimate, error) {
	return Share(answered, asked, level)
}

// TopTwo is the share of the two best scores of a scale, a Share. Source: Reichheld and
// Markey's "top-two-box"; ISO 10004:2018, annex D.
func TopTwo(c Counts, s Scale, level float64) (Estimate, error) {
	table, err := s.check(c)
	if err != nil {
		return Estimate{}, err
	}
	return Share(table.Between(s.Greatest-1, s.Greatest), table.N(), level)
}

// CSAT is the share of the ratings 4 and 5 on the scale from 1 to 5: TopTwo of it.
func CSAT(c Counts, level float64) (Estimate, error) { return TopTwo(c, RatingScale, level) }

// NPS is the net promoter score, 100 times the share of 9 and 10 less that of 0 to 6. As the
// mean of 100, 0 and -100 for promoters, passives and detractors it has a mean's t interval,
// cut at ±100, with the mean's edge cases. Source: Reichheld, The one number you need to grow,
// Harvard Business Review 12/2003; the interval as Rocks, The American Statistician 70 (2016),
// compares it.
func NPS(c Counts, level float64) (Estimate, error) {
	table, err := NPSScale.check(c)
	if err != nil {
		return Estimate{}, err
	}
	out, err := MeanInterval(Counts{
		{-100, table.Between(0, 6)}, {0, table.Between(7, 8)}, {100, table.Between(9, 10)},
	}, level)
	if out.Interval != nil {
		out.Interval.Low, out.Interval.High = max(out.Interval.Low, -100), min(out.Interval.High, 100)
	}
	return out, err
}

// CES is the customer effort score: the mean of "it was made easy" from 1 to 7, greater is
// easier, with a mean's t interval and edge cases. Source: Dixon, Toman and DeLisi, The
// Effortless Experience (2013), CES 2.0.
func CES(c Counts, level float64) (Estimate, error) {
	table, err := EffortScale.check(c)
	if err != nil {
		return Estimate{}, err
	}
	return MeanInterval(table, level)
}

// Between is how many answers have a score from least to greatest.
func (c Counts) Between(least, greatest int32) int64 {
	var n int64
	for _, entry := range c {
		if entry.Score >= least && entry.Score <= greatest {
			n += entry.N
		}
	}
	return n
}
