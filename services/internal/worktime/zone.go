package worktime

import (
	"math"
	"sort"
	"time"
)

// Instants are nanoseconds since 1970, readings of the wall clock nanoseconds since its
// own 1970-01-01 00:00; both fit the supported years.
const (
	day    = int64(24 * time.Hour)
	minute = int64(time.Minute)
)

// period is a time in which the wall clock keeps one distance from UTC.
type period struct{ from, offset int64 }

// zone is the part of a time zone that the arithmetic of one year needs.
type zone []period

// zoneBetween reads loc from one instant to another. What lies before counts as having the
// offset of the first instant.
func zoneBetween(loc *time.Location, from, to int64) zone {
	t := time.Unix(0, from).In(loc)
	_, offset := t.Zone()
	z := zone{{math.MinInt64, int64(offset) * int64(time.Second)}}
	for {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Unix() >= to/int64(time.Second) {
			return z
		}
		// Past the listed changes the library takes every year for 365 days long, so that
		// the last day of a leap year lies behind the end it is given.
		if !end.After(t) {
			end = t.Add(time.Hour)
		}
		t = end
		_, offset := t.Zone()
		if seconds := int64(offset) * int64(time.Second); seconds != z[len(z)-1].offset {
			start, _ := t.ZoneBounds()
			z = append(z, period{start.UnixNano(), seconds})
		}
	}
}

// first gives the first instant at which the wall clock reads w or later. It never falls as
// w rises: a skipped reading is the moment of the jump, a repeated one its first time.
func (z zone) first(w int64) int64 {
	last := len(z) - 1
	for i, p := range z[:last] {
		if t := max(w-p.offset, p.from); t < z[i+1].from {
			return t
		}
	}
	return max(w-z[last].offset, z[last].from)
}

// wall reads the wall clock at an instant.
func (z zone) wall(t int64) int64 {
	i := sort.Search(len(z), func(i int) bool { return z[i].from > t }) - 1
	return t + z[i].offset
}
