package worktime

import (
	"slices"
	"sort"
	"time"
)

// Results lie in the years from firstYear to lastYear by UTC; the local year may be one
// further.
const (
	firstYear = 1970
	lastYear  = 2199
)

// span is one interval of one day in real time. before is the working time of the year
// that lies ahead of it.
type span struct {
	open, close, before int64
	day                 int
	makeUp              bool
}

// table holds one local year in real time, from its first instant to the first of the next.
// A shift over New Year's midnight is cut there, its second part still belongs to 31 December.
type table struct {
	year       int
	start, end int64
	zone       zone
	spans      []span
	total      int64
	days       []int // the working days of the year
}

// table gives a year; whoever asks first builds it. Building twice at once is harmless, for
// both make the same.
func (c *Calendar) table(year int) *table {
	slot := &c.tables[year-(firstYear-1)]
	if t := slot.Load(); t != nil {
		return t
	}
	slot.CompareAndSwap(nil, c.build(year))
	return slot.Load()
}

func (c *Calendar) build(year int) *table {
	from, to := Date{year, time.January, 1}.number(), Date{year + 1, time.January, 1}.number()
	// Offsets are below a day, and a shift ends within two days of its date.
	t := &table{year: year, zone: zoneBetween(c.loc, int64(from-3)*day, int64(to+4)*day)}
	t.start, t.end = t.zone.first(int64(from)*day), t.zone.first(int64(to)*day)
	t.spans = make([]span, 0, (to-from)*c.intervals)
	t.days = make([]int, 0, to-from)
	var room [8]span
	for d := from - 1; d < to; d++ {
		shift := c.shift(t.zone, d, room[:0])
		if d >= from && len(shift) > 0 {
			t.days = append(t.days, d)
		}
		for _, s := range shift {
			s.open, s.close = max(s.open, t.start), min(s.close, t.end)
			if s.open >= s.close {
				continue
			}
			s.before = t.total
			t.total += s.close - s.open
			t.spans = append(t.spans, s)
		}
	}
	return t
}

// shift appends the intervals of a day that last any time at all to buf.
func (c *Calendar) shift(z zone, d int, buf []span) []span {
	hours, makeUp := c.hours(d)
	for _, h := range hours {
		s := span{day: d, makeUp: makeUp}
		s.open = z.first(int64(d)*day + int64(h.Open)*minute)
		s.close = z.first(int64(d)*day + int64(h.Close)*minute)
		if s.open < s.close {
			buf = append(buf, s)
		}
	}
	return buf
}

// at gives the year that holds an instant.
func (c *Calendar) at(t int64) *table {
	tab := c.table(time.Unix(0, t).UTC().Year())
	switch {
	case t < tab.start:
		return c.table(tab.year - 1)
	case t >= tab.end:
		return c.table(tab.year + 1)
	}
	return tab
}

// last gives the index of the last interval that opens at t or before, -1 if there is none.
func (t *table) last(instant int64) int {
	return sort.Search(len(t.spans), func(i int) bool { return t.spans[i].open > instant }) - 1
}

// worked gives the working time from the start of the year to an instant of it.
func (t *table) worked(instant int64) int64 {
	i := t.last(instant)
	if i < 0 {
		return 0
	}
	s := &t.spans[i]
	return s.before + min(instant, s.close) - s.open
}

// reach gives the first instant of the year at which n of its working time is complete;
// 0 < n <= total.
func (t *table) reach(n int64) int64 {
	i := sort.Search(len(t.spans), func(i int) bool { return t.spans[i].before >= n }) - 1
	return t.spans[i].open + n - t.spans[i].before
}

// next gives the first working instant at t or after and the day it belongs to.
func (c *Calendar) next(t int64) (instant int64, d int, ok bool) {
	tab := c.at(t)
	if i := tab.last(t); i >= 0 && t < tab.spans[i].close {
		return t, tab.spans[i].day, true
	}
	for i := tab.last(t) + 1; ; i = 0 {
		if i < len(tab.spans) {
			return tab.spans[i].open, tab.spans[i].day, true
		}
		if tab.year > lastYear {
			return 0, 0, false
		}
		tab = c.table(tab.year + 1)
	}
}

// workday gives the n-th working day after d and the year that holds it.
func (c *Calendar) workday(d, n int) (int, *table, bool) {
	tab := c.table(dateOf(d).Year)
	i, _ := slices.BinarySearch(tab.days, d)
	for i += n; i >= len(tab.days); {
		if tab.year > lastYear {
			return 0, nil, false
		}
		i -= len(tab.days)
		tab = c.table(tab.year + 1)
	}
	return tab.days[i], tab, true
}
