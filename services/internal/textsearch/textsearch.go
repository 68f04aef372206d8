// Package textsearch makes texts findable by any part, in Chinese as in other languages: it
// folds them, and takes them apart into the terms by which an index knows them.
package textsearch

import (
	"slices"
	"strconv"
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

// spanBits make a span of 65,536 positions. An index knows each thing by its terms within its
// span: finding the newest with a text reads span by span, and of each what has the text. The
// statements that search say 16 too.
const spanBits = 16

// Terms gives what an index knows the thing at a position by: the distinct characters and pairs
// of neighbouring characters of its folded text, and of digits the threes and fours too, since
// pairs of digits are in every number; each with the span, as in `武汉/3`. Two characters
// are a usual query in Chinese, so words are not split and three-letter terms would find
// nothing.
func Terms(text string, position int64) []string {
	span := "/" + strconv.FormatInt(position>>spanBits, 10)
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		runes := []rune(line)
		for i, r := range runes {
			if r != ' ' {
				out = append(out, string(r)+span)
			}
			if i+1 < len(runes) {
				out = append(out, string(runes[i:i+2])+span)
			}
			n := digits(runes, i)
			if n >= few {
				out = append(out, string(runes[i:i+few])+span)
			}
			if n >= many {
				out = append(out, string(runes[i:i+many])+span)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Of a run of digits an index has each few and each many that stand together.
const few, many = 3, 4

// digits is how many digits stand from i on.
func digits(runes []rune, i int) (n int) {
	for n = 0; i+n < len(runes) && runes[i+n] >= '0' && runes[i+n] <= '9'; n++ {
	}
	return n
}

// mostNumbers are as many terms of digits as are asked for.
const mostNumbers = 3

// QueryTerms gives the terms, without their span, that find a folded query: its pairs, which imply
// its characters, and of a run of digits the fours, or the three where it is shorter; or the
// character when there is but one. Of those of digits it is the last few, and two of them are
// enough without any pair: how a number begins is shared by many, and an index looks through a
// long list for each term that many have.
func QueryTerms(folded string) []string {
	runes := []rune(folded)
	if len(runes) == 1 {
		return []string{folded}
	}
	var numbers, pairs []string
	for i := 0; i < len(runes)-1; i++ {
		n, size := digits(runes, i), few
		if n < few {
			pairs = append(pairs, string(runes[i:i+2]))
			continue
		}
		if n >= many {
			size = many
		}
		for at := i; at+size <= i+n; at++ {
			numbers = append(numbers, string(runes[at:at+size]))
		}
		i += n - 2 // the last digit is a pair with what follows
	}
	numbers = lastNumbers(numbers)
	if len(numbers) < 2 {
		numbers = append(numbers, pairs...)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// lastNumbers are the last distinct ones, noughts only where there is nothing else.
func lastNumbers(numbers []string) []string {
	var out []string
	for _, number := range slices.Backward(numbers) {
		if len(out) < mostNumbers && strings.Trim(number, "0") != "" && !slices.Contains(out, number) {
			out = append(out, number)
		}
	}
	if len(out) == 0 && len(numbers) > 0 {
		return numbers[:1]
	}
	return out
}
