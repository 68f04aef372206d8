package analysis

import "math"

// Correlation is how closely two questions go together. P is the probability of a
// coefficient as far from 0 or farther if they did not, two-sided.
type Correlation struct {
	N        int64
	R        float64
	DF       float64
	P        float64
	Interval *Interval
	Why      *Lack
}

// products are the centred sums of two variables.
type products struct{ n, xx, yy, xy float64 }

// productsOf sums an ordered joint table, its scores mapped to numbers.
func productsOf(p Pairs, x, y func(int32) float64) products {
	out := products{n: float64(p.N())}
	var meanX, meanY float64
	for _, entry := range p {
		n := float64(entry.N)
		meanX, meanY = meanX+x(entry.X)*n, meanY+y(entry.Y)*n
	}
	meanX, meanY = meanX/out.n, meanY/out.n
	for _, entry := range p {
		dx, dy, n := x(entry.X)-meanX, y(entry.Y)-meanY, float64(entry.N)
		out.xx, out.yy, out.xy = out.xx+dx*dx*n, out.yy+dy*dy*n, out.xy+dx*dy*n
	}
	return out
}

// perfect is how near to a straight line the rounding of sums leaves one.
const perfect = 1e-14

// relatable orders the table and says whether two questions can be related at all.
func relatable(p Pairs, level float64) (Pairs, error) {
	table, err := orderedPairs(p)
	if err == nil {
		err = checkLevel(level)
	}
	if err != nil {
		return nil, err
	}
	n := table.N()
	if n < 3 {
		return nil, &Lack{Reason: TooFew, N: n, Need: 3}
	}
	if constant(table) || constant(table.Swapped()) {
		return nil, &Lack{Reason: NoVariance, N: n}
	}
	return table, nil
}

// constant tells whether the first question has one score only.
func constant(p Pairs) bool {
	for _, entry := range p {
		if entry.X != p[0].X {
			return false
		}
	}
	return true
}

func (s products) correlation(standardError func(r float64) float64, level float64) Correlation {
	r := s.xy / math.Sqrt(s.xx) / math.Sqrt(s.yy)
	r = max(min(r, 1), -1)
	out := Correlation{N: int64(s.n), R: r, DF: s.n - 2}
	rest := (1 - r) * (1 + r)
	switch {
	case rest <= perfect:
		// On a straight line t is infinite and nothing scatters around it.
		out.R, out.Why = math.Copysign(1, r), &Lack{Reason: NoVariance, N: out.N}
		return out
	case s.n < 4:
		out.Why = &Lack{Reason: TooFew, N: out.N, Need: 4}
	default:
		out.Interval = fisher(r, standardError(r), level)
	}
	out.P = tTails(r*math.Sqrt(out.DF/rest), out.DF)
	return out
}

// Pearson is the product-moment correlation, with t = r√((n-2)/(1-r²)) on n-2 degrees of
// freedom and Fisher's z interval, tanh(atanh r ± z/√(n-3)). It measures straight-line
// relations and assumes for its significance that the pairs are about normal or many. Less
// than 3 pairs: TooFew; 3 pairs: no interval. One question with equal answers: NoVariance. All
// pairs on a line: r = ±1, P = 0, no interval. Source: Fisher, Statistical Methods for
// Research Workers (1925); R's cor.test.
func Pearson(p Pairs, level float64) (Correlation, error) {
	table, err := relatable(p, level)
	if err != nil {
		return Correlation{}, err
	}
	s := productsOf(table, plain, plain)
	return s.correlation(func(float64) float64 { return 1 / math.Sqrt(s.n-3) }, level), nil
}

func plain(score int32) float64 { return float64(score) }

// Spearman is Pearson's correlation of the ranks, equal scores sharing their mean rank, with
// the t approximation of its significance; the interval is Fisher's with Bonett and Wright's
// standard error √((1+r²/2)/(n-3)). It measures rising and falling relations of any form and
// assumes ordered scores only. The significance is approximate below some 10 pairs. Edge cases
// as Pearson's. Source: Spearman, Am. J. Psychology 15 (1904); Bonett and Wright, Psychometrika
// 65 (2000); R's cor.test(method = "spearman", exact = FALSE).
func Spearman(p Pairs, level float64) (Correlation, error) {
	table, err := relatable(p, level)
	if err != nil {
		return Correlation{}, err
	}
	x, err := ranksOf(table.X())
	if err != nil {
		return Correlation{}, err
	}
	y, err := ranksOf(table.Swapped().X())
	if err != nil {
		return Correlation{}, err
	}
	s := productsOf(table, x.of, y.of)
	return s.correlation(func(r float64) float64 { return math.Sqrt((1 + r*r/2) / (s.n - 3)) }, level), nil
}

// ranks gives each score the mean of the places that its answers take in order.
type ranks map[int32]float64

func (r ranks) of(score int32) float64 { return r[score] }

func ranksOf(c Counts) (ranks, error) {
	table, err := ordered(c)
	if err != nil {
		return nil, err
	}
	out := make(ranks, len(table))
	var before float64
	for _, entry := range table {
		n := float64(entry.N)
		out[entry.Score] = before + (n+1)/2
		before += n
	}
	return out, nil
}

// Slope is by how much Y rises with each step of X.
type Slope struct {
	N        int64
	Value    float64
	P        float64
	Interval *Interval
	Why      *Lack
}

// Regression is the slope of the least-squares line through all answers, b = Sxy/Sxx, with its
// t interval on n-2 degrees of freedom. It assumes a straight line with an equal scatter around
// it. Less than 3 answers: TooFew. One X only: OneGroup. Equal Y: NoVariance. All on the line:
// P = 0 without an interval. Source: Draper and Smith, Applied Regression Analysis; R's lm.
func Regression(p Pairs, level float64) (Slope, error) {
	table, err := relatable(p, level)
	if lack := AsLack(err); lack != nil && lack.Reason == NoVariance {
		if ordered, _ := orderedPairs(p); constant(ordered) {
			return Slope{}, &Lack{Reason: OneGroup, N: lack.N}
		}
	}
	if err != nil {
		return Slope{}, err
	}
	s := productsOf(table, plain, plain)
	along := s.correlation(func(float64) float64 { return 1 / math.Sqrt(s.n-2) }, level)
	out := Slope{N: along.N, Value: s.xy / s.xx, P: along.P}
	if math.Abs(along.R) == 1 {
		out.Why = along.Why
		return out, nil
	}
	scatter := s.yy * (1 - along.R*along.R) / along.DF
	out.Interval = around(out.Value, tQuantile(level, along.DF)*math.Sqrt(scatter/s.xx), level)
	return out, nil
}
