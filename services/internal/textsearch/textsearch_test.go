package textsearch_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

func TestGramsFindEveryPart(t *testing.T) {
	if got, want := textsearch.Grams(textsearch.Fold("武汉Ａb 武")), []string{" 武", "a", "ab", "b", "b ", "武", "武汉", "汉", "汉a"}; !slices.Equal(got, want) {
		t.Errorf("grams %q, want %q", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := textsearch.Fold(rapid.StringOfN(rapid.RuneFrom([]rune("武汉精工设备有限公司ABcd 123456é")), 1, 20, -1).Draw(t, "name"))
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
		grams := textsearch.Grams(name)
		for _, g := range textsearch.QueryGrams(folded) {
			if !slices.Contains(grams, g) {
				t.Fatalf("%q in %q: gram %q is missing from %q", folded, name, g, grams)
			}
		}
	})
}

func TestNumbersAreSoughtByTheirEnd(t *testing.T) {
	for query, want := range map[string][]string{
		"sn-0000777":       {"007", "077", "777"},
		"c-202611-0001234": {"012", "123", "234"},
		"5678":             {"567", "678"},
		"武汉12":             {"12", "武汉", "汉1"},
		"武汉123":            {"123", "武汉", "汉1"},
		"0000":             {"000"},
		"1000":             {"100"},
	} {
		if got := textsearch.QueryGrams(query); !slices.Equal(got, want) {
			t.Errorf("%s is sought by %q, want %q", query, got, want)
		}
	}
}

func TestLinesKeepWordsApart(t *testing.T) {
	if got, want := textsearch.Lines("Ａ  b", "", "a B", " c"), "a b\nc"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
