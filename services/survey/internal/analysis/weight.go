package analysis

import (
	"fmt"
	"math"
)

// Stratum is one part of the population, such as the customers of a tier: how many there are,
// and what those of them said who answered.
type Stratum struct {
	Population int64
	Answers    Counts
}

// Weighted is a mean that stands for the population.
type Weighted struct {
	Estimate
	// Weights are by how much an answer of each stratum counts; their mean over all answers is 1.
	Weights []float64
	// EffectiveN is how many answers of a simple random sample would be worth as much.
	EffectiveN float64
}

// PostStratify weights a mean to the population: x̄ = Σ Wₕx̄ₕ with Wₕ the stratum's share of
// the population, so each of its nₕ answers weighs Wₕn/nₕ. The standard error is √(Σ Wₕ²sₕ²/nₕ)
// with Satterthwaite's degrees of freedom for the t interval; the effective n is Kish's,
// (Σw)²/Σw². It assumes that within a stratum those who answered are like those who did not.
// Nobody in the population or no answers: TooFew. A stratum of the population without
// answers: Uncovered, N being the answers of all. A stratum with one answer: no interval, TooFew;
// no variance in any: no interval, NoVariance. Answers of a stratum that the population lacks
// weigh 0. Source: Holt and Smith, JRSS A 142 (1979); Kish, Survey Sampling (1965); Cochran,
// Sampling Techniques (1977), 5.4.
func PostStratify(strata []Stratum, level float64) (Weighted, error) {
	tables, population, n, err := coverage(strata)
	if err == nil {
		err = checkLevel(level)
	}
	if err != nil {
		return Weighted{}, err
	}
	if n == 0 || population == 0 {
		return Weighted{}, &Lack{Reason: TooFew, N: n, Need: 1}
	}
	out := Weighted{Estimate: Estimate{N: n}, Weights: make([]float64, len(strata))}
	var squaredWeights, variance, satterthwaite float64
	least := int64(math.MaxInt64)
	for h, stratum := range strata {
		if stratum.Population == 0 {
			continue
		}
		if len(tables[h]) == 0 {
			return Weighted{}, &Lack{Reason: Uncovered, N: n}
		}
		m, share := momentsOf(tables[h]), float64(stratum.Population)/float64(population)
		out.Value += share * m.mean
		out.Weights[h] = share * float64(n) / m.n
		squaredWeights += out.Weights[h] * out.Weights[h] * m.n
		if least = min(least, int64(m.n)); m.n >= 2 {
			part := share * share * m.variance() / m.n
			variance, satterthwaite = variance+part, satterthwaite+part*part/(m.n-1)
		}
	}
	out.EffectiveN = float64(n) * float64(n) / squaredWeights
	switch {
	case least < 2:
		out.Why = &Lack{Reason: TooFew, N: least, Need: 2}
	case satterthwaite == 0:
		out.Why = &Lack{Reason: NoVariance, N: n}
	default:
		half := tQuantile(level, variance*variance/satterthwaite) * math.Sqrt(variance)
		out.Interval = around(out.Value, half, level)
	}
	return out, nil
}

// coverage orders the strata's answers and counts people and answers.
func coverage(strata []Stratum) (tables []Counts, population, n int64, err error) {
	tables = make([]Counts, len(strata))
	for h, stratum := range strata {
		if tables[h], err = ordered(stratum.Answers); err != nil {
			return nil, 0, 0, fmt.Errorf("stratum %d: %w", h, err)
		}
		if stratum.Population < 0 || stratum.Population > MaxAnswers {
			return nil, 0, 0, fmt.Errorf("stratum %d has %d people; give a number from 0 to %d", h, stratum.Population, MaxAnswers)
		}
		population += stratum.Population
		n += tables[h].N()
	}
	if n > MaxAnswers || population > MaxAnswers {
		return nil, 0, 0, fmt.Errorf("the strata hold more than %d answers or people", MaxAnswers)
	}
	return tables, population, n, nil
}
