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
	slices.SortFunc(shifts, byStart)
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

func byStart(a, b Span) int { return a.Start.Compare(b.Start) }

// join adds a span at the end, to the last one where they touch.
func join(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].End.Equal(s.Start) {
		spans[n-1].End = s.End
		return spans
	}
	return append(spans, s)
}

// Untold gives what of the gaps was not told before; seen is how far ahead the look before
// this one went. A told gap that went on to there and goes on past it is one gap and not told
// hour by hour, as the time ahead brings more of it.
func Untold(gaps, told []Span, seen time.Time) []Span {
	return slices.DeleteFunc(Gaps(gaps, told), func(s Span) bool {
		begins := slices.ContainsFunc(gaps, func(g Span) bool { return g.Start.Equal(s.Start) })
		return !begins && !s.Start.Before(seen)
	})
}

// Known gives what counts as told after a look at a time found the gaps: hours that are covered
// again are forgotten, so that they are told again when they are empty again.
func Known(gaps, told []Span, look Span) []Span {
	all := append(Gaps(told, []Span{look}), gaps...)
	slices.SortFunc(all, byStart)
	var out []Span
	for _, s := range all {
		out = join(out, s)
	}
	return out
}
