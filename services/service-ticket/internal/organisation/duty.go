package organisation

import (
	"slices"
	"time"
)

// MaxShift bounds a shift.
const MaxShift = 31 * 24 * time.Hour

// Span is a time [Start, End).
type Span struct{ Start, End time.Time }

// Gaps gives what of the cover no shift holds: in order, without touching neighbours. The
// cover is in order and does not overlap; shifts may.
func Gaps(cover, shifts []Span) []Span {
	shifts = slices.Clone(shifts)
	slices.SortFunc(shifts, func(a, b Span) int { return a.Start.Compare(b.Start) })
	var out []Span
	for _, c := range cover {
		at := c.Start
		for _, s := range shifts {
			if !s.End.After(at) || !s.Start.Before(c.End) {
				continue
			}
			if s.Start.After(at) {
				out = join(out, Span{at, s.Start})
			}
			at = s.End
		}
		if at.Before(c.End) {
			out = join(out, Span{at, c.End})
		}
	}
	return out
}

// join adds a span at the end, to the last one where they touch.
func join(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].End.Equal(s.Start) {
		spans[n-1].End = s.End
		return spans
	}
	return append(spans, s)
}

// Untold gives the gaps of which no part was told before. A gap that was told goes on being
// told while it shrinks, and while the time ahead brings more of it.
func Untold(gaps, told []Span) []Span {
	return slices.DeleteFunc(slices.Clone(gaps), func(g Span) bool {
		return slices.ContainsFunc(told, func(t Span) bool { return t.Start.Before(g.End) && g.Start.Before(t.End) })
	})
}
