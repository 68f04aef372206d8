package triage

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Why naive Bayes of our own and no library: those in Go smooth unseen words by a constant,
// which makes their probabilities useless as a confidence, and none leaves out rare words,
// which here keeps persons out of what is stored.
const (
	// seenIn is in how many texts a word must occur to be kept.
	seenIn = 3
	// maxFeatures bounds what is kept; the most frequent stay.
	maxFeatures = 20000
)

// Text is one past ticket: what it says and what people took it for.
type Text struct {
	Features []string
	Label    string
}

// Bayes is a multinomial naive Bayes classifier over which features a text holds, with
// Laplace smoothing. It is safe for concurrent use once learned.
type Bayes struct {
	Labels []string `json:"labels"`
	// Texts counts the texts of each label, Total the features that occurred in them.
	Texts []int `json:"texts"`
	Total []int `json:"total"`
	// Counts is in how many texts of each label a feature occurred.
	Counts map[string][]int `json:"counts"`
}

// Learn counts. Texts without a label are passed over.
func Learn(texts []Text) *Bayes {
	b := &Bayes{Counts: map[string][]int{}}
	at := map[string]int{}
	for _, t := range texts {
		if _, ok := at[t.Label]; !ok && t.Label != "" {
			at[t.Label] = 0
			b.Labels = append(b.Labels, t.Label)
		}
	}
	slices.Sort(b.Labels)
	for i, l := range b.Labels {
		at[l] = i
	}
	b.Texts, b.Total = make([]int, len(b.Labels)), make([]int, len(b.Labels))
	for _, t := range texts {
		label, ok := at[t.Label]
		if !ok {
			continue
		}
		b.Texts[label]++
		for _, f := range t.Features {
			if b.Counts[f] == nil {
				b.Counts[f] = make([]int, len(b.Labels))
			}
			b.Counts[f][label]++
		}
	}
	b.prune()
	for _, counts := range b.Counts {
		for i, n := range counts {
			b.Total[i] += n
		}
	}
	return b
}

// prune leaves out rare features, and of too many the rarer ones.
func (b *Bayes) prune() {
	type frequent struct {
		feature string
		n       int
	}
	var kept []frequent
	for f, counts := range b.Counts {
		n := 0
		for _, c := range counts {
			n += c
		}
		if n >= seenIn {
			kept = append(kept, frequent{f, n})
		}
	}
	slices.SortFunc(kept, func(x, y frequent) int { return cmp.Or(y.n-x.n, strings.Compare(x.feature, y.feature)) })
	counts := map[string][]int{}
	for _, k := range kept[:min(len(kept), maxFeatures)] {
		counts[k.feature] = b.Counts[k.feature]
	}
	b.Counts = counts
}

// Guess is what a text is most likely about.
type Guess struct {
	Label string
	// Posterior is what the model holds for its probability; it is too sure of itself, so that
	// what is shown is measured.
	Posterior float64
	// Words spoke most for it, the strongest first, at most five.
	Words []string
}

// Guess gives the likeliest label, the zero guess where nothing was learned.
func (b *Bayes) Guess(features []string) Guess {
	if len(b.Labels) == 0 {
		return Guess{}
	}
	texts := 0
	for _, n := range b.Texts {
		texts += n
	}
	scores := make([]float64, len(b.Labels))
	for i := range b.Labels {
		scores[i] = math.Log(float64(b.Texts[i]+1) / float64(texts+len(b.Labels)))
		for _, f := range features {
			if counts := b.Counts[f]; counts != nil {
				scores[i] += b.likely(counts, i)
			}
		}
	}
	best := 0
	for i := range scores {
		if scores[i] > scores[best] {
			best = i
		}
	}
	sum := 0.0
	for _, s := range scores {
		sum += math.Exp(s - scores[best])
	}
	return Guess{Label: b.Labels[best], Posterior: 1 / sum, Words: b.strongest(features, best)}
}

func (b *Bayes) likely(counts []int, label int) float64 {
	return math.Log(float64(counts[label]+1) / float64(b.Total[label]+len(b.Counts)))
}

// strongest are the features that tell a label best from the average of all.
func (b *Bayes) strongest(features []string, label int) []string {
	type weighed struct {
		feature string
		weight  float64
	}
	var all []weighed
	for _, f := range features {
		counts := b.Counts[f]
		if counts == nil {
			continue
		}
		mean := 0.0
		for i := range b.Labels {
			mean += b.likely(counts, i) / float64(len(b.Labels))
		}
		if w := b.likely(counts, label) - mean; w > 0 {
			all = append(all, weighed{f, w})
		}
	}
	slices.SortFunc(all, func(x, y weighed) int {
		return cmp.Or(cmp.Compare(y.weight, x.weight), strings.Compare(x.feature, y.feature))
	})
	var out []string
	for _, w := range all[:min(len(all), 5)] {
		out = append(out, w.feature)
	}
	return out
}
