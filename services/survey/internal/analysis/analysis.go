// Package analysis computes the statistics of survey answers from frequency tables: how
// often each score was given, and how often each pair of scores was given together. A table
// is as small for a million answers as for a hundred.
//
// There are three ways for a function to end. A figure. A *Lack: the answers are not enough
// for the figure, with the reason; it is a result and never a number. Any other error: the
// input makes no sense (a negative count, a score outside of its scale). No function gives
// NaN or an infinite value.
//
// Every figure assumes that answers were given independently of each other. Missing answers
// are left out by whoever makes the tables: for a figure of one question the answers without
// that question, for a figure of two questions the answers without either (pairwise).
package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Count is how often a score was given.
type Count struct {
	Score int32
	N     int64
}

// Counts is the frequency table of one question. The order of its entries does not matter;
// entries of one score add up.
type Counts []Count

// Pair is how often two scores were given in one answer.
type Pair struct {
	X, Y int32
	N    int64
}

// Pairs is the joint frequency table of two questions, with the order and the addition of
// Counts.
type Pairs []Pair

// MaxAnswers bounds what a table may hold. Up to it the arithmetic keeps its precision.
const MaxAnswers = 1_000_000_000

// Reason says why there is no figure.
type Reason int

const (
	// TooFew: the formula needs more answers than there are.
	TooFew Reason = iota + 1
	// Withheld: so few answers stand behind the figure that it could tell what somebody said.
	Withheld
	// WithheldComplement: the figure could be subtracted from others to learn a withheld one.
	WithheldComplement
	// NoVariance: all answers are equal where the figure compares how they differ.
	NoVariance
	// OneGroup: there is nothing to compare with.
	OneGroup
	// Uncovered: a part of the population gave no answer, so no weight can stand for it.
	Uncovered
)

func (r Reason) String() string {
	switch r {
	case TooFew:
		return "too few answers"
	case Withheld:
		return "withheld: too few answers to be shown"
	case WithheldComplement:
		return "withheld: a withheld figure could be found by subtraction"
	case NoVariance:
		return "all answers are equal"
	case OneGroup:
		return "only one group has answers"
	case Uncovered:
		return "a part of the population gave no answer"
	}
	return fmt.Sprintf("reason %d", int(r))
}

// Lack is the result that there are not enough answers for a figure. N answers are there;
// Need is the least number that would do, 0 where no number of the same answers would.
type Lack struct {
	Reason  Reason
	N, Need int64
}

func (l *Lack) Error() string {
	if l.Need > 0 {
		return fmt.Sprintf("%v (%d, at least %d are needed)", l.Reason, l.N, l.Need)
	}
	return fmt.Sprintf("%v (%d answers)", l.Reason, l.N)
}

// AsLack gives the lack that err is, or nil.
func AsLack(err error) *Lack {
	var lack *Lack
	if errors.As(err, &lack) {
		return lack
	}
	return nil
}

// Interval is a confidence interval of a level between 0 and 1.
type Interval struct{ Low, High, Level float64 }

// Estimate is a figure and its confidence interval. Where the figure exists and the interval
// does not, Interval is nil and Why says the reason.
type Estimate struct {
	N        int64
	Value    float64
	Interval *Interval
	Why      *Lack
}

// N is the number of answers in a table.
func (c Counts) N() int64 {
	var n int64
	for _, entry := range c {
		n += entry.N
	}
	return n
}

// N is the number of answers in a joint table.
func (p Pairs) N() int64 {
	var n int64
	for _, entry := range p {
		n += entry.N
	}
	return n
}

// Swapped is the table with the two questions exchanged.
func (p Pairs) Swapped() Pairs {
	out := make(Pairs, len(p))
	for i, entry := range p {
		out[i] = Pair{X: entry.Y, Y: entry.X, N: entry.N}
	}
	return out
}

// X is the table of the first question alone.
func (p Pairs) X() Counts {
	out := make(Counts, len(p))
	for i, entry := range p {
		out[i] = Count{Score: entry.X, N: entry.N}
	}
	return out
}

// Merge adds tables up.
func Merge(tables ...Counts) Counts { return slices.Concat(tables...) }

// ordered checks a table and gives it in the order of its scores, each once and none with
// zero answers: equal tables then give equal figures to the last bit.
func ordered(c Counts) (Counts, error) {
	pairs, err := orderedPairs(c.pairs())
	if err != nil {
		return nil, err
	}
	return pairs.X(), nil
}

func (c Counts) pairs() Pairs {
	out := make(Pairs, len(c))
	for i, entry := range c {
		out[i] = Pair{X: entry.Score, N: entry.N}
	}
	return out
}

func orderedPairs(p Pairs) (Pairs, error) {
	out := make(Pairs, 0, len(p))
	var n int64
	for _, entry := range p {
		if entry.N < 0 || entry.N > MaxAnswers {
			return nil, fmt.Errorf("the score %d was given %d times; a count is from 0 to %d", entry.X, entry.N, MaxAnswers)
		}
		if n += entry.N; n > MaxAnswers {
			return nil, fmt.Errorf("the table holds more than %d answers", MaxAnswers)
		}
		if entry.N > 0 {
			out = append(out, entry)
		}
	}
	slices.SortFunc(out, func(a, b Pair) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
	merged := out[:0]
	for _, entry := range out {
		if last := len(merged) - 1; last >= 0 && merged[last].X == entry.X && merged[last].Y == entry.Y {
			merged[last].N += entry.N
			continue
		}
		merged = append(merged, entry)
	}
	return merged, nil
}

// orderedGroups orders every group and leaves out those without answers.
func orderedGroups(groups []Counts) (filled []Counts, n int64, err error) {
	for i, group := range groups {
		table, err := ordered(group)
		if err != nil {
			return nil, 0, fmt.Errorf("group %d: %w", i, err)
		}
		if len(table) > 0 {
			filled = append(filled, table)
		}
		if n += table.N(); n > MaxAnswers {
			return nil, 0, fmt.Errorf("the groups hold more than %d answers", MaxAnswers)
		}
	}
	return filled, n, nil
}

// checkLevel refuses levels at which an interval says nothing or is without end.
func checkLevel(level float64) error {
	if level >= 0.5 && level <= 0.9999 {
		return nil
	}
	return fmt.Errorf("the confidence level is %v; give one from 0.5 to 0.9999, such as 0.95", level)
}
