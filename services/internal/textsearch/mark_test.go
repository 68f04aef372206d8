package textsearch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

func TestTerms(t *testing.T) {
	if got, want := textsearch.Terms("武 1234", 3<<14), []string{" 1", "1/3", "12", "123", "1234/3", "2/3", "23", "234", "3/3", "34", "4/3", "武 ", "武/3"}; !slices.Equal(got, want) {
		t.Errorf("terms %q, want %q", got, want)
	}
}

// Each character and each four digits of any run stand with the span, wherever the thing
// stands, and nothing else does; what has no mark is found by its grams.
func TestTermsFindEveryPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("武汉AB ２ 0123456789012345")), 0, 12, -1), 1, 4).Draw(t, "words")
		text := textsearch.Lines(words...)
		position := rapid.Int64Range(0, 1<<24).Draw(t, "position")
		terms := textsearch.Terms(text, position)
		marked := func(mark string) bool { return slices.Contains(terms, fmt.Sprintf("%s/%d", mark, position/16384)) }
		for line := range strings.SplitSeq(text, "\n") {
			runes := []rune(line)
			for from := range runes {
				for to := from + 1; to <= len(runes); to++ {
					part := textsearch.Fold(string(runes[from:to]))
					if part != string(runes[from:to]) {
						continue // folded queries begin and end with no space
					}
					mark := textsearch.Mark(part)
					if mark != "" && (mark != part || !marked(mark)) {
						t.Fatalf("%q in %q is not marked by %q: %q", part, text, mark, terms)
					}
					for _, gram := range textsearch.QueryGrams(part) {
						if mark == "" && !slices.Contains(terms, gram) {
							t.Fatalf("%q in %q: %q is missing from %q", part, text, gram, terms)
						}
					}
				}
			}
		}
		for four := range 10_000 {
			if four := fmt.Sprintf("%04d", four); marked(four) != strings.Contains(text, four) {
				t.Fatalf("%q is marked %t in %q", four, marked(four), text)
			}
		}
	})
}

func TestMark(t *testing.T) {
	for query, want := range map[string]string{"武": "武", "7": "7", "2026": "2026", "": "", "武汉": "", "123": "", "12345": "", "1 23": "", "１２３４": "", "武汉设备": ""} {
		if got := textsearch.Mark(query); got != want {
			t.Errorf("%q is marked %q, want %q", query, got, want)
		}
	}
}
