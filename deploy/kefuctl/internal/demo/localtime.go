package demo

import (
	"fmt"
	"time"
	_ "time/tzdata" // a machine without zone files reads the same times
)

// fit is how a local time meets its zone's clock.
type fit int

const (
	// exact: the clock showed it once.
	exact fit = iota
	// twice: the clock was put back and showed it twice; the first is taken.
	twice
	// skipped: the clock was put forward over it; it is taken as if it had not been.
	skipped
)

// local reads a time of day in a zone.
func local(layout, text string, zone *time.Location) (time.Time, fit, error) {
	wall, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}, exact, fmt.Errorf("%q is no time of the form %q", text, layout)
	}
	// No zone changes twice in two days, so one of these two offsets holds.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	first, second := wall.Add(-time.Duration(before)*time.Second), wall.Add(-time.Duration(after)*time.Second)
	shown := func(t time.Time, offset int) bool {
		_, at := t.In(zone).Zone()
		return at == offset
	}
	switch holds, holdsAfter := shown(first, before), shown(second, after); {
	case before == after:
		return first, exact, nil
	case holds && holdsAfter:
		return first, twice, nil
	case holds:
		return first, exact, nil
	case holdsAfter:
		return second, exact, nil
	}
	return first, skipped, nil
}
