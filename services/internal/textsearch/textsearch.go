// Package textsearch makes texts findable by any part, in Chinese as in other languages: it
// folds them, and takes them apart into the characters and pairs by which an index knows them.
package textsearch

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Fold gives the form in which texts and queries are compared: NFKC, lower case, runs of
// white space as one space.
func Fold(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), " ")
}

// Lines folds words, each on a line of its own, so that no part of a query spans two.
func Lines(words ...string) string {
	lines := make([]string, 0, len(words))
	for _, word := range words {
		if line := Fold(word); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// Grams gives the distinct characters and pairs of neighbouring characters of a folded text,
// sorted, and of digits the threes too: pairs of digits are in every number. Two characters
// are a usual query in Chinese, so words are not split and three-letter grams would find
// nothing.
func Grams(text string) []string { return terms(text, "") }

func terms(text, span string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		runes := []rune(line)
		for i, r := range runes {
			if r != ' ' {
				out = append(out, string(r)+span)
			}
			if i+1 < len(runes) {
				out = append(out, string(runes[i:i+2]))
			}
			if digits(runes, i) >= 3 {
				out = append(out, string(runes[i:i+3]))
			}
			if span != "" && digits(runes, i) >= 4 {
				out = append(out, string(runes[i:i+4])+span)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// digits is how many digits stand from i on.
func digits(runes []rune, i int) (n int) {
	for n = 0; i+n < len(runes) && runes[i+n] >= '0' && runes[i+n] <= '9'; n++ {
	}
	return n
}

// mostThrees are as many threes of digits as are asked for.
const mostThrees = 3

// QueryGrams gives what an index is asked for to find a folded query: its pairs, which imply
// its characters, and in place of pairs of digits the threes; or the character when there is
// but one. Of the threes it is the last few, and two of them are enough without any pair:
// how a number begins is shared by many, and an index looks through a long list for each
// term that many have.
func QueryGrams(folded string) []string {
	runes := []rune(folded)
	if len(runes) == 1 {
		return []string{folded}
	}
	var threes, pairs []string
	for i := range len(runes) - 1 {
		switch n := digits(runes, i); {
		case n >= 3:
			threes = append(threes, string(runes[i:i+3]))
		case n == 2 && i > 0 && digits(runes, i-1) >= 3: // within the three before
		default:
			pairs = append(pairs, string(runes[i:i+2]))
		}
	}
	threes = lastThrees(threes)
	if len(threes) < 2 {
		threes = append(threes, pairs...)
	}
	slices.Sort(threes)
	return slices.Compact(threes)
}

// lastThrees are the last distinct threes, noughts only where there is nothing else.
func lastThrees(threes []string) []string {
	var out []string
	for _, three := range slices.Backward(threes) {
		if len(out) < mostThrees && three != "000" && !slices.Contains(out, three) {
			out = append(out, three)
		}
	}
	if len(out) == 0 && len(threes) > 0 {
		return threes[:1]
	}
	return out
}
