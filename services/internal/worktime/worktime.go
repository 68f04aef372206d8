// Package worktime holds business calendars and their arithmetic: which instants are working
// time, how much of it lies between two instants, when an amount of it is complete, and
// which pieces a stretch of time is made of. It reads no clock and does no I/O.
//
// Working intervals are half-open [open, close), and working time is real elapsed time. A
// reading of the wall clock means the first instant at which the clock shows it or a later
// one. So an hour that is skipped does not count, one that is repeated inside an interval
// counts twice, and an interval that closes at a repeated reading closes at its first time.
// A shift belongs to the day it begins on, also past midnight, and over a holiday that
// follows.
//
// A target is complete at the earliest instant at which the counted time has passed: what
// starts Monday 09:00 with three working days is due at Wednesday's close. A target of no
// time at all is complete at its start, working time or not.
//
// Supported are instants of the years 1970 to 2199.
package worktime

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"
	_ "time/tzdata" // every machine knows the zones, also one without zone files
)

// Calendar answers questions about working time. It never changes and may be used by any
// number of goroutines at once; sums of years are kept once they have been asked for.
type Calendar struct {
	definition Definition
	loc        *time.Location
	week       [7][]Interval
	days       map[int]dated
	years      map[int]Status
	intervals  int // the most intervals of any weekday
	tables     [lastYear - firstYear + 3]atomic.Pointer[table]
}

type dated struct {
	kind  DayKind
	name  Name
	hours []Interval
}

// New makes a Calendar. The error is that of [Check], with the paths of d's own fields.
func New(d Definition) (*Calendar, error) {
	if err := Check("", d); err != nil {
		return nil, err
	}
	loc, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("load the time zone: %w", err)
	}
	c := &Calendar{definition: d.clone(), loc: loc, week: week(d.Week), days: map[int]dated{}, years: map[int]Status{}}
	for _, hours := range c.week {
		c.intervals = max(c.intervals, len(hours))
	}
	for _, y := range d.Years {
		c.years[y.Year] = y.Status
		for _, day := range y.Days {
			c.days[day.Date.number()] = dated{day.Kind, day.Name, hoursOf(c.week, day)}
		}
	}
	return c, nil
}

// week sorts the hours of the weekdays.
func week(hours []Hours) (out [7][]Interval) {
	for _, h := range hours {
		out[h.Weekday] = append(out[h.Weekday], Interval{h.Open, h.Close})
	}
	for i := range out {
		sortHours(out[i])
	}
	return out
}

func sortHours(hours []Interval) {
	slices.SortFunc(hours, func(a, b Interval) int { return int(a.Open - b.Open) })
}

// hoursOf gives the hours of a date that does not follow the week.
func hoursOf(week [7][]Interval, d Day) []Interval {
	if d.Kind == Holiday {
		return nil
	}
	if len(d.Hours) > 0 {
		hours := slices.Clone(d.Hours)
		sortHours(hours)
		return hours
	}
	for i := range 7 {
		if hours := week[(int(time.Monday)+i)%7]; len(hours) > 0 {
			return hours
		}
	}
	return nil
}

// hours gives the intervals that belong to a day, and whether it is a workday by its date.
func (c *Calendar) hours(d int) (hours []Interval, makeUp bool) {
	if special, ok := c.days[d]; ok {
		return special.hours, special.kind == Workday
	}
	return c.week[weekdayOf(d)], false
}

// Definition gives what the Calendar was made of; changing it changes nothing else.
func (c *Calendar) Definition() Definition { return c.definition.clone() }

// Location gives the time zone.
func (c *Calendar) Location() *time.Location { return c.loc }

// Status says what is known of the dates of a year.
func (c *Calendar) Status(year int) Status {
	if status, ok := c.years[year]; ok {
		return status
	}
	if len(c.years) == 0 {
		return Official
	}
	return Missing
}

// Basis names the years whose dates a result rests on although they are not official.
type Basis struct {
	// Assumed years are missing: plain weeks were taken for them.
	Assumed []int
	// Provisional years may still change.
	Provisional []int
}

// Basis judges what lies between two instants, in the years of the calendar's zone.
func (c *Calendar) Basis(from, to time.Time) Basis {
	return c.basis(clamp(from), clamp(to))
}

func (c *Calendar) basis(from, to int64) (b Basis) {
	if to > from {
		to-- // what ends with a year says nothing about the next
	}
	for y := c.at(from).year; y <= c.at(to).year; y++ {
		switch c.Status(y) {
		case Missing:
			b.Assumed = append(b.Assumed, y)
		case Provisional:
			b.Provisional = append(b.Provisional, y)
		}
	}
	return b
}

// Years lists the years of which anything is known, in order.
func (c *Calendar) Years() []int { return slices.Sorted(maps.Keys(c.years)) }
