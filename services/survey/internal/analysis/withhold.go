package analysis

import "fmt"

// MinShown is the least number of answers behind a figure that is shown: of fewer, somebody
// might tell who said what.
const MinShown = 5

// Withhold says for each group of a whole why its figures must not be shown, 0 where they may
// be. A group of 1 to 4 answers is Withheld. Where the whole is shown beside the groups, what is
// withheld must not follow by subtraction: if one group alone is withheld, or those withheld
// have less than 5 answers together, the smallest other group is WithheldComplement, and so on
// until two groups or more with 5 answers or more together are withheld, or all that have any.
// Of equally small groups the first is taken. Empty groups are no secret. A whole of less than 5
// answers has to be withheld itself. Negative counts make no sense. Source: Hundepool et al.,
// Statistical Disclosure Control (2012), 4.3, primary and secondary suppression.
func Withhold(groups []int64) ([]Reason, error) {
	out := make([]Reason, len(groups))
	hidden, answers := 0, int64(0)
	for i, n := range groups {
		switch {
		case n < 0 || n > MaxAnswers:
			return nil, fmt.Errorf("group %d has %d answers; give a number from 0 to %d", i, n, MaxAnswers)
		case n > 0 && n < MinShown:
			out[i], hidden, answers = Withheld, hidden+1, answers+n
		}
	}
	for hidden > 0 && (hidden < 2 || answers < MinShown) {
		smallest := -1
		for i, n := range groups {
			if n > 0 && out[i] == 0 && (smallest < 0 || n < groups[smallest]) {
				smallest = i
			}
		}
		if smallest < 0 {
			break
		}
		out[smallest], hidden, answers = WithheldComplement, hidden+1, answers+groups[smallest]
	}
	return out, nil
}

// WithholdPart says why the figures of a part of a whole must not be shown where those of the
// whole can be had as well, 0 where they may be: the part has 1 to 4 answers, or the rest has.
func WithholdPart(part, whole int64) (Reason, error) {
	if part < 0 || whole < part {
		return 0, fmt.Errorf("a part of %d answers in a whole of %d; give a part from 0 to the whole", part, whole)
	}
	switch rest := whole - part; {
	case part > 0 && part < MinShown:
		return Withheld, nil
	case rest > 0 && rest < MinShown:
		return WithheldComplement, nil
	}
	return 0, nil
}
