package triage_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

func TestFeatures(t *testing.T) {
	for text, want := range map[string]string{
		"水泵漏水":              "水泵 泵漏 漏水",
		"Pump P-100 leaks!": "pump leaks",
		"电话13800138000 请回电": "电话 请回 回电",
		"leak leak 漏 a":     "leak",
		"Ｆｕｌｌ　Width":        "full width",
	} {
		if got := strings.Join(triage.Features(text), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func texts(label string, n int, features ...string) []triage.Text {
	out := make([]triage.Text, n)
	for i := range out {
		out[i] = triage.Text{Features: features, Label: label}
	}
	return out
}

// The probability is the one of the textbook, computed here by hand.
func TestBayesIsTheTextbooks(t *testing.T) {
	b := triage.Learn(slices.Concat(texts("a", 4, "x", "y"), texts("b", 8, "y"), texts("", 5, "x")))
	got := b.Guess([]string{"x", "never seen"})
	// Two features are kept; a holds 8 of them, b 8; with one added each: of x 5/10 and 1/10, of
	// the labels 5/14 and 9/14.
	want := (5.0 / 14 * 0.5) / (5.0/14*0.5 + 9.0/14*0.1)
	if got.Label != "a" || math.Abs(got.Posterior-want) > 1e-12 || strings.Join(got.Words, " ") != "x" {
		t.Errorf("%+v, want a with %v", got, want)
	}
	if got := b.Guess(nil); got.Label != "b" || math.Abs(got.Posterior-9.0/14) > 1e-12 {
		t.Errorf("of nothing %+v", got)
	}
	if got := triage.Learn(nil).Guess([]string{"x"}); got.Label != "" {
		t.Errorf("without learning %+v", got)
	}
}

func TestRareWordsAreNotKept(t *testing.T) {
	b := triage.Learn(slices.Concat(texts("a", 2, "secret", "word"), texts("b", 1, "word")))
	if _, kept := b.Counts["secret"]; kept || len(b.Counts) != 1 {
		t.Errorf("kept %v", b.Counts)
	}
}

// Measured is with what came later only.
func TestMeasureIsOnLaterTexts(t *testing.T) {
	early := slices.Concat(texts("a", 50, "x"), texts("b", 30, "y"))
	later := slices.Concat(texts("a", 8, "x"), texts("b", 8, "y"), texts("b", 4, "x"))
	got := triage.Measure(slices.Concat(early, texts("", 3, "x"), later))
	f := got.Found
	if f.Train != 80 || f.Test != 20 || f.Right != 16 || f.BaselineRight != 8 || f.Baseline != "a" || f.Values != 2 || !f.Used() {
		t.Errorf("figures %+v", f)
	}
	if f.TrainUntil != 79 || f.TestFrom != 83 || f.Until != 102 {
		t.Errorf("positions %+v", f)
	}
	// It learns from all in the end.
	if got.Bayes.Texts[0] != 58 || got.Bayes.Texts[1] != 42 {
		t.Errorf("learned from %v", got.Bayes.Texts)
	}
	// What looks clear is as sure as it was right, here 16 of 20.
	if c := f.Confidence(got.Bayes.Guess([]string{"x"})); c != 0.8 {
		t.Errorf("confidence %v", c)
	}
	useless := triage.Measure(slices.Concat(texts("a", 99, "x"), texts("b", 1, "x")))
	if useless.Found.Used() {
		t.Errorf("a model no better than the commonest is used: %+v", useless.Found)
	}
	if few := triage.Measure(slices.Concat(texts("a", 10, "x"), texts("b", 10, "y"))); few.Found.Enough() || few.Found.Used() {
		t.Errorf("few: %+v", few.Found)
	}
	if none := triage.Measure(nil); none.Found.Used() || none.Found.Accuracy() != 0 {
		t.Errorf("nothing: %+v", none.Found)
	}
}
