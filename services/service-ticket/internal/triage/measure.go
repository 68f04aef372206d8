package triage

// fewest is the least number of later tickets that an accuracy is told from.
const fewest = 20

// bands are where the confidences that the model holds for right are cut: for each the share
// for which it was right is measured.
func bands() []float64 { return []float64{0.5, 0.8, 0.95, 0.999} }

// Figures are how often a model is right on texts that it has not seen.
type Figures struct {
	Train, Test, Values         int
	Right, BaselineRight        int
	Baseline                    string
	BandTested, BandRight       []int
	TrainUntil, TestFrom, Until int // positions in the texts
}

// Learned is a classifier with the figures that were measured for it.
type Learned struct {
	Bayes *Bayes  `json:"bayes"`
	Found Figures `json:"figures"`
}

// Measure learns from the earlier four fifths of texts in the order of time, measures with
// the later fifth, and then learns from all. Texts without a label are passed over.
func Measure(texts []Text) Learned {
	var at []int // positions of those with a label
	var labelled []Text
	for i, t := range texts {
		if t.Label != "" {
			at, labelled = append(at, i), append(labelled, t)
		}
	}
	cut := len(labelled) * 4 / 5
	f := Figures{Train: cut, Test: len(labelled) - cut, BandTested: make([]int, len(bands())+1), BandRight: make([]int, len(bands())+1)}
	if len(labelled) == 0 || cut == 0 {
		return Learned{Bayes: Learn(nil), Found: f}
	}
	f.TrainUntil, f.TestFrom, f.Until = at[cut-1], at[cut], at[len(at)-1]
	early := Learn(labelled[:cut])
	f.Values, f.Baseline = len(early.Labels), early.commonest()
	for _, t := range labelled[cut:] {
		guess := early.Guess(t.Features)
		band := bandOf(guess.Posterior)
		f.BandTested[band]++
		if guess.Label == t.Label {
			f.Right++
			f.BandRight[band]++
		}
		if t.Label == f.Baseline {
			f.BaselineRight++
		}
	}
	return Learned{Bayes: Learn(labelled), Found: f}
}

// commonest is the label of most texts, of equals the first.
func (b *Bayes) commonest() string {
	best := 0
	for i, n := range b.Texts {
		if n > b.Texts[best] {
			best = i
		}
	}
	return b.Labels[best]
}

func bandOf(posterior float64) int {
	n := 0
	for _, limit := range bands() {
		if posterior >= limit {
			n++
		}
	}
	return n
}

// Enough tells whether there were texts enough to measure with.
func (f Figures) Enough() bool { return f.Test >= fewest && f.Values > 1 }

// Used tells whether the model may suggest: it was measured, and it is right more often than
// saying the commonest.
func (f Figures) Used() bool { return f.Enough() && f.Right > f.BaselineRight }

// Accuracy is the share for which the model is right, BaselineAccuracy that of the commonest.
func (f Figures) Accuracy() float64         { return share(f.Right, f.Test) }
func (f Figures) BaselineAccuracy() float64 { return share(f.BaselineRight, f.Test) }

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// Confidence is the measured share of texts of a guess's band for which the model was right;
// where too few were in the band, of all.
func (f Figures) Confidence(g Guess) float64 {
	band := bandOf(g.Posterior)
	if f.BandTested[band] < fewest {
		return f.Accuracy()
	}
	return share(f.BandRight[band], f.BandTested[band])
}
