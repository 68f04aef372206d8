package textsearch_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

func TestTermsFindEveryPart(t *testing.T) {
	if got, want := textsearch.Terms(textsearch.Fold("武汉Ａb 武"), 3<<16-1), []string{" 武/2", "a/2", "ab/2", "b /2", "b/2", "武/2", "武汉/2", "汉/2", "汉a/2"}; !slices.Equal(got, want) {
		t.Errorf("terms %q, want %q", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := textsearch.Fold(rapid.StringOfN(rapid.RuneFrom([]rune("武汉精工设备有限公司ABcd 12345612345612é")), 1, 20, -1).Draw(t, "name"))
		runes := []rune(name)
		if len(runes) == 0 {
			return
		}
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(runes)).Draw(t, "to")
		folded := textsearch.Fold(string(runes[from:to]))
		if folded == "" {
			return
		}
		position := rapid.Int64Range(0, 1<<24).Draw(t, "position")
		terms := textsearch.Terms(name, position)
		for _, term := range textsearch.QueryTerms(folded) {
			if !slices.Contains(terms, fmt.Sprintf("%s/%d", term, position/65536)) {
				t.Fatalf("%q in %q: %q is missing from %q", folded, name, term, terms)
			}
		}
	})
}

func TestNumbersAreSoughtByTheirEnd(t *testing.T) {
	for query, want := range map[string][]string{
		"sn-0000777":       {"0007", "0077", "0777"},
		"c-202611-0001234": {"0012", "0123", "1234"},
		"5678":             {"5678"},
		"12345":            {"1234", "2345"},
		"武汉12":             {"12", "武汉", "汉1"},
		"武汉123":            {"123", "武汉", "汉1"},
		"123武":             {"123", "3武"},
		"1 23":             {" 2", "1 ", "23"},
		"0000":             {"0000"},
		"00000000":         {"0000"},
		"1000":             {"1000"},
		"武":                {"武"},
		"7":                {"7"},
	} {
		if got := textsearch.QueryTerms(query); !slices.Equal(got, want) {
			t.Errorf("%s is sought by %q, want %q", query, got, want)
		}
	}
}

func TestLinesKeepWordsApart(t *testing.T) {
	if got, want := textsearch.Lines("Ａ  b", "", "a B", " c"), "a b\nc"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
