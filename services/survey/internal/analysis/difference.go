package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Difference compares the means of two groups. Value is the first mean less the second; P the
// probability of a difference as far from 0 or farther if there were none, two-sided.
type Difference struct {
	N              [2]int64
	Value          float64
	Interval       Interval
	T, DF, P       float64
	Effect         float64
	EffectInterval Interval
}

// Welch is Welch's t-test of two means, which does not assume equal variances: t = (x̄₁-x̄₂) /
// √(s₁²/n₁+s₂²/n₂) with the Welch-Satterthwaite degrees of freedom, and the interval of the
// difference. The effect size is Cohen's d with the pooled deviation, its interval d ± z√((n₁+n₂)/(n₁n₂)
// + d²/(2(n₁+n₂))). It assumes that both means are about normally distributed. A group with less
// than 2 answers: TooFew, N being that of the smaller one. No variance in either: NoVariance; in
// one alone: computed. Source: Welch, Biometrika 34 (1947); Cohen, Statistical Power Analysis
// (1988); Hedges and Olkin, Statistical Methods for Meta-Analysis (1985); R's t.test.
func Welch(first, second Counts, level float64) (Difference, error) {
	a, err := ordered(first)
	if err != nil {
		return Difference{}, fmt.Errorf("first group: %w", err)
	}
	b, err := ordered(second)
	if err != nil {
		return Difference{}, fmt.Errorf("second group: %w", err)
	}
	if err := checkLevel(level); err != nil {
		return Difference{}, err
	}
	if n := min(a.N(), b.N()); n < 2 {
		return Difference{}, &Lack{Reason: TooFew, N: n, Need: 2}
	}
	x, y := momentsOf(a), momentsOf(b)
	if x.distinct < 2 && y.distinct < 2 {
		return Difference{}, &Lack{Reason: NoVariance, N: a.N() + b.N()}
	}
	ex, ey := x.variance()/x.n, y.variance()/y.n
	out := Difference{N: [2]int64{a.N(), b.N()}, Value: x.mean - y.mean}
	standardError := math.Sqrt(ex + ey)
	out.T = out.Value / standardError
	out.DF = (ex + ey) * (ex + ey) / (ex*ex/(x.n-1) + ey*ey/(y.n-1))
	out.P = tTails(out.T, out.DF)
	out.Interval = *around(out.Value, tQuantile(level, out.DF)*standardError, level)
	all := x.n + y.n
	out.Effect = out.Value / math.Sqrt((x.squares+y.squares)/(all-2))
	spread := math.Sqrt(all/(x.n*y.n) + out.Effect*out.Effect/(2*all))
	out.EffectInterval = *around(out.Effect, normalQuantile(level)*spread, level)
	return out, nil
}

// Comparison is a test whether several groups differ. P is the probability of a statistic as
// great or greater if they did not. Effect is the size that belongs to the test, 0 to 1.
type Comparison struct {
	N         int64
	Groups    int
	Statistic float64
	// DF1 and, for F statistics, DF2 are the degrees of freedom.
	DF1, DF2 float64
	P        float64
	Effect   float64
}

// groupsOf gives the moments of the groups with answers, and of all answers together.
func groupsOf(groups []Counts) ([]moments, moments, error) {
	filled, n, err := orderedGroups(groups)
	if err != nil {
		return nil, moments{}, err
	}
	if len(filled) < 2 {
		return nil, moments{}, &Lack{Reason: OneGroup, N: n}
	}
	out := make([]moments, len(filled))
	for i, group := range filled {
		out[i] = momentsOf(group)
	}
	whole, err := ordered(Merge(filled...))
	if err != nil {
		return nil, moments{}, err
	}
	return out, momentsOf(whole), nil
}

// scattered tells whether the answers of some group differ.
func scattered(m moments) bool { return m.distinct > 1 }

// ANOVA is the one-way analysis of variance of two or more means: F = (SSB/(k-1))/(SSW/(n-k)),
// with eta squared, SSB/SST, as effect size. It assumes equal variances; where they differ use
// WelchANOVA. Groups without answers are left out; less than two others: OneGroup. As many
// groups as answers: TooFew. Nothing differs within the groups: NoVariance. Source: Fisher,
// Statistical Methods for Research Workers (1925); R's oneway.test(var.equal = TRUE).
func ANOVA(groups []Counts) (Comparison, error) {
	parts, whole, err := groupsOf(groups)
	if err != nil {
		return Comparison{}, err
	}
	k, n := float64(len(parts)), whole.n
	if n <= k {
		return Comparison{}, &Lack{Reason: TooFew, N: int64(n), Need: int64(k) + 1}
	}
	if !slices.ContainsFunc(parts, scattered) {
		return Comparison{}, &Lack{Reason: NoVariance, N: int64(n)}
	}
	var between, within float64
	for _, m := range parts {
		between += m.n * (m.mean - whole.mean) * (m.mean - whole.mean)
		within += m.squares
	}
	f := (between / (k - 1)) / (within / (n - k))
	return Comparison{
		N: int64(n), Groups: len(parts), Statistic: f, DF1: k - 1, DF2: n - k,
		P: fTail(f, k-1, n-k), Effect: between / (between + within),
	}, nil
}

// WelchANOVA is Welch's analysis of variance of two or more means, which does not assume equal
// variances: the groups are weighted with n/s². The effect size is eta squared as in ANOVA.
// Groups without answers are left out; less than two others: OneGroup. A group with one answer:
// TooFew, N being that of the smallest. A group whose answers are all equal: NoVariance, as it
// would weigh infinitely; N is that of the smallest one. Source: Welch, On the comparison of several mean values, Biometrika
// 38 (1951); R's oneway.test.
func WelchANOVA(groups []Counts) (Comparison, error) {
	parts, whole, err := groupsOf(groups)
	if err != nil {
		return Comparison{}, err
	}
	if lack := unweighable(parts); lack != nil {
		return Comparison{}, lack
	}
	var weight, mean, between, within float64
	for _, m := range parts {
		w := m.n / m.variance()
		weight, mean = weight+w, mean+w*m.mean
		between += m.n * (m.mean - whole.mean) * (m.mean - whole.mean)
		within += m.squares
	}
	mean /= weight
	var spread, unequal float64
	for _, m := range parts {
		w := m.n / m.variance()
		spread += w * (m.mean - mean) * (m.mean - mean)
		unequal += (1 - w/weight) * (1 - w/weight) / (m.n - 1)
	}
	k := float64(len(parts))
	unequal /= k*k - 1
	f, df2 := spread/(k-1)/(1+2*(k-2)*unequal), 1/(3*unequal)
	return Comparison{
		N: int64(whole.n), Groups: len(parts), Statistic: f, DF1: k - 1, DF2: df2,
		P: fTail(f, k-1, df2), Effect: between / (between + within),
	}, nil
}

// unweighable says why Welch's weights cannot be had for all groups, whatever their order.
func unweighable(parts []moments) *Lack {
	least, equal := parts[0].n, math.Inf(1)
	for _, m := range parts {
		if least = min(least, m.n); !scattered(m) {
			equal = min(equal, m.n)
		}
	}
	switch {
	case least < 2:
		return &Lack{Reason: TooFew, N: int64(least), Need: 2}
	case !math.IsInf(equal, 1):
		return &Lack{Reason: NoVariance, N: int64(equal)}
	}
	return nil
}

// KruskalWallis tests whether scores of some group tend to be higher than those of others, by
// ranks with the correction for ties: H = (n-1) Σ nⱼ(r̄ⱼ-r̄)² / Σ(r-r̄)², about chi-square with
// k-1 degrees of freedom. The effect size is epsilon squared, H/(n-1). It assumes ordered scores
// and, to speak of medians, distributions of one form; with less than 5 answers a group it is
// rough. Groups without answers are left out; less than two others: OneGroup. All answers equal:
// NoVariance. Source: Kruskal and Wallis, JASA 47 (1952); Tomczak and Tomczak (2014); R's
// kruskal.test.
func KruskalWallis(groups []Counts) (Comparison, error) {
	filled, n, err := orderedGroups(groups)
	if err != nil {
		return Comparison{}, err
	}
	if len(filled) < 2 {
		return Comparison{}, &Lack{Reason: OneGroup, N: n}
	}
	whole, err := ordered(Merge(filled...))
	if err != nil {
		return Comparison{}, err
	}
	if len(whole) < 2 {
		return Comparison{}, &Lack{Reason: NoVariance, N: n}
	}
	rank, err := ranksOf(whole)
	if err != nil {
		return Comparison{}, err
	}
	middle := (float64(n) + 1) / 2
	var between, total float64
	for _, entry := range whole {
		d := rank.of(entry.Score) - middle
		total += d * d * float64(entry.N)
	}
	for _, group := range filled {
		var sum float64
		for _, entry := range group {
			sum += (rank.of(entry.Score) - middle) * float64(entry.N)
		}
		between += sum * sum / float64(group.N())
	}
	share := between / total
	h, df := float64(n-1)*share, float64(len(filled)-1)
	return Comparison{N: n, Groups: len(filled), Statistic: h, DF1: df, P: chiTail(h, df), Effect: share}, nil
}

// Independence is Pearson's chi-square test of a table of counts. SmallExpected is the share of
// cells where less than 5 were expected: above 0.2 the test is rough.
type Independence struct {
	Comparison
	SmallExpected float64
}

// ChiSquare tests whether two choices depend on each other, X² = Σ(o-e)²/e with (r-1)(c-1)
// degrees of freedom, without Yates's correction; its effect size is Cramér's V, √(X²/(n·min(r-1,c-1))).
// It assumes expected counts of 5 or more in most cells, see SmallExpected. Empty rows and
// columns are left out; less than two rows left: OneGroup, less than two columns: NoVariance.
// Source: Pearson, Phil. Mag. 50 (1900); Cramér, Mathematical Methods of Statistics (1946);
// Cochran, Biometrics 10 (1954); R's chisq.test(correct = FALSE).
func ChiSquare(table [][]int64) (Independence, error) {
	rows, columns, n, err := margins(table)
	if err != nil {
		return Independence{}, err
	}
	r, c := filledMargins(rows), filledMargins(columns)
	switch {
	case r < 2:
		return Independence{}, &Lack{Reason: OneGroup, N: n}
	case c < 2:
		return Independence{}, &Lack{Reason: NoVariance, N: n}
	}
	var x, small float64
	for i, row := range table {
		for j, observed := range row {
			expected := float64(rows[i]) / float64(n) * float64(columns[j])
			if expected == 0 {
				continue
			}
			if expected < 5 {
				small++
			}
			d := float64(observed) - expected
			x += d * d / expected
		}
	}
	df := float64((r - 1) * (c - 1))
	out := Independence{SmallExpected: small / float64(r*c)}
	out.Comparison = Comparison{
		N: n, Groups: r, Statistic: x, DF1: df, P: chiTail(x, df),
		Effect: min(math.Sqrt(x/(float64(n)*float64(min(r, c)-1))), 1),
	}
	return out, nil
}

func margins(table [][]int64) (rows, columns []int64, n int64, err error) {
	rows = make([]int64, len(table))
	if len(table) > 0 {
		columns = make([]int64, len(table[0]))
	}
	for i, row := range table {
		if len(row) != len(columns) {
			return nil, nil, 0, fmt.Errorf("row %d has %d columns and the first one %d", i, len(row), len(columns))
		}
		for j, count := range row {
			if count < 0 || count > MaxAnswers {
				return nil, nil, 0, fmt.Errorf("row %d, column %d counts %d; a count is from 0 to %d", i, j, count, MaxAnswers)
			}
			if n += count; n > MaxAnswers {
				return nil, nil, 0, fmt.Errorf("the table holds more than %d answers", MaxAnswers)
			}
			rows[i], columns[j] = rows[i]+count, columns[j]+count
		}
	}
	return rows, columns, n, nil
}

func filledMargins(sums []int64) int {
	n := 0
	for _, sum := range sums {
		if sum > 0 {
			n++
		}
	}
	return n
}

// Holm adjusts the probabilities of several tests, so that the chance of any false alarm among
// them stays below the level that the adjusted ones are held against: in rising order the i-th
// of m is multiplied by m-i+1, never below the one before and at most 1. It assumes nothing of
// how the tests depend on each other. None: none. Source: Holm, Scand. J. Statistics 6 (1979);
// R's p.adjust(method = "holm").
func Holm(p []float64) ([]float64, error) {
	order := make([]int, len(p))
	for i, value := range p {
		if !(value >= 0 && value <= 1) {
			return nil, fmt.Errorf("probability %d is %v; it must be from 0 to 1", i, value)
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out, least := make([]float64, len(p)), 0.0
	for place, i := range order {
		least = max(least, min(p[i]*float64(len(p)-place), 1))
		out[i] = least
	}
	return out, nil
}
