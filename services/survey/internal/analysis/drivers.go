package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Quadrant is where an aspect stands by importance and performance.
type Quadrant int

const (
	// Concentrate: important and weak; work here first.
	Concentrate Quadrant = iota + 1
	// KeepUp: important and strong.
	KeepUp
	// LowPriority: unimportant and weak.
	LowPriority
	// Overkill: unimportant and strong; effort may be moved from here.
	Overkill
)

// Aspect is what is known of one aspect: how much it drives overall satisfaction, mostly its
// correlation with it, and how well it does, mostly its mean on a common scale.
type Aspect struct{ Importance, Performance float64 }

// Quadrants places each aspect against the means of importance and of performance over all
// aspects; on a mean counts as above it. It assumes that the aspects have one scale and that a
// correlation with overall satisfaction tells importance, which aspects that go together blur.
// Less than two aspects: OneGroup. All equal in importance, or all in performance: NoVariance, as
// the means divide nothing. Source: Martilla and James, Importance-performance analysis, Journal
// of Marketing 41 (1977).
func Quadrants(aspects []Aspect) ([]Quadrant, error) {
	if len(aspects) < 2 {
		return nil, &Lack{Reason: OneGroup, N: int64(len(aspects))}
	}
	var middle Aspect
	for i, a := range aspects {
		if !finite(a.Importance) || !finite(a.Performance) {
			return nil, fmt.Errorf("aspect %d has importance %v and performance %v; both must be finite", i, a.Importance, a.Performance)
		}
		middle.Importance += a.Importance / float64(len(aspects))
		middle.Performance += a.Performance / float64(len(aspects))
	}
	first := aspects[0]
	if !slices.ContainsFunc(aspects, func(a Aspect) bool { return a.Importance != first.Importance }) ||
		!slices.ContainsFunc(aspects, func(a Aspect) bool { return a.Performance != first.Performance }) {
		return nil, &Lack{Reason: NoVariance, N: int64(len(aspects))}
	}
	out := make([]Quadrant, len(aspects))
	for i, a := range aspects {
		important, strong := a.Importance >= middle.Importance, a.Performance >= middle.Performance
		switch {
		case important && !strong:
			out[i] = Concentrate
		case important:
			out[i] = KeepUp
		case !strong:
			out[i] = LowPriority
		default:
			out[i] = Overkill
		}
	}
	return out, nil
}

// finite bounds numbers so that sums of them stay finite.
func finite(x float64) bool { return math.Abs(x) <= 1e12 }

// Problem is an aspect that answers complain of.
type Problem struct {
	Key string
	// Severity is how grave it is when it happens, greater is graver; people say it.
	Severity int
	// Importance is how much the aspect drives overall satisfaction, -1 to 1.
	Importance float64
	// Shortfall is how far the mean is below the best score, as a part of the scale, 0 to 1.
	Shortfall float64
	// Share is the part of answers with a low score, 0 to 1.
	Share float64
}

// Weight is importance × shortfall × share of low scores, 0 to 1. An aspect that goes against
// overall satisfaction drives it in nothing: its importance counts as 0.
func (p Problem) Weight() float64 { return max(p.Importance, 0) * p.Shortfall * p.Share }

// Shortfall is how far a mean is below the best score of its scale, 0 at the best and 1 at the
// worst: (greatest-x̄)/(greatest-least). No answers: TooFew.
func Shortfall(c Counts, s Scale) (float64, error) {
	table, err := s.check(c)
	if err != nil {
		return 0, err
	}
	mean, err := Mean(table)
	if err != nil {
		return 0, err
	}
	return (float64(s.Greatest) - mean) / (float64(s.Greatest) - float64(s.Least)), nil
}

// RankProblems puts the gravest first, of equally grave ones those with the greatest weight, of
// equal weights by key. Nothing needs to be compared, so one problem or none is ranked as well.
// Source: the company's rule, severity first and then importance × low score × share.
func RankProblems(problems []Problem) ([]Problem, error) {
	for _, p := range problems {
		if !(math.Abs(p.Importance) <= 1) || !unit(p.Shortfall) || !unit(p.Share) {
			return nil, fmt.Errorf("problem %q has importance %v, shortfall %v and share %v; the first is from -1 to 1, the others from 0 to 1",
				p.Key, p.Importance, p.Shortfall, p.Share)
		}
	}
	out := slices.Clone(problems)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Weight(), a.Weight()), cmp.Compare(a.Key, b.Key))
	})
	return out, nil
}

func unit(x float64) bool { return x >= 0 && x <= 1 }
