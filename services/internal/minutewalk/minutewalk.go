// Package minutewalk is the oracle of deadlines, for tests alone: it reads a calendar's
// definition minute by minute off the wall clock and counts. It shares no arithmetic with
// worktime and clock; of worktime it takes the words a definition is written in.
package minutewalk

import (
	"slices"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Walk is a stretch of time read minute by minute off the wall clock. It knows nothing of
// tables, sums or time zone periods, so that it can judge the arithmetic that does. Minutes
// are numbered from its beginning.
type Walk struct {
	definition worktime.Definition
	listed     map[worktime.Date]worktime.Day
	begin      time.Time
	wall       []int // the reading of the wall clock, in minutes
	mark       []int // the furthest reading so far: a clock set back repeats what is past
	owner      []int // the day whose hours hold the minute, nobody if none do
	counted    []int // how many minutes before this one are working time
	first      map[int]int
	last       map[int]int
	days       []int // the days that own a minute
}

const (
	nobody = -1 << 31
	// DayLength is a day of the wall clock in minutes.
	DayLength = 24 * 60
	// Margin is how many minutes a walk needs on both sides of a question.
	Margin = 3 * DayLength
)

// Over walks through some minutes of a calendar. It panics on a zone that does not load.
func Over(d worktime.Definition, begin time.Time, minutes int) *Walk {
	loc, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		panic(err)
	}
	w := &Walk{definition: d, listed: map[worktime.Date]worktime.Day{}, begin: begin, first: map[int]int{}, last: map[int]int{}, counted: []int{0}}
	for _, y := range d.Years {
		for _, day := range y.Days {
			w.listed[day.Date] = day
		}
	}
	hours := map[int][]worktime.Interval{}
	mark := nobody
	for i := -Margin; i < minutes; i++ {
		t := begin.Add(time.Duration(i) * time.Minute).In(loc)
		_, offset := t.Zone()
		wall := int(t.Unix())/60 + offset/60
		mark = max(mark, wall)
		if i < 0 {
			continue
		}
		owner := nobody
		for _, d := range []int{mark / DayLength, mark/DayLength - 1} {
			of, known := hours[d]
			if !known {
				of = w.hours(d)
				hours[d] = of
			}
			for _, h := range of {
				if at := worktime.TimeOfDay(mark - d*DayLength); h.Open <= at && at < h.Close {
					owner = d
				}
			}
		}
		w.wall, w.mark, w.owner = append(w.wall, wall), append(w.mark, mark), append(w.owner, owner)
		sum := w.counted[i]
		if owner != nobody {
			sum++
			if _, seen := w.first[owner]; !seen {
				w.first[owner] = i
				w.days = append(w.days, owner)
			}
			w.last[owner] = i
		}
		w.counted = append(w.counted, sum)
	}
	slices.Sort(w.days)
	return w
}

// special finds a date that does not follow the week.
func (w *Walk) special(d int) (worktime.Day, bool) {
	date := time.Unix(int64(d)*DayLength*60, 0).UTC()
	day, ok := w.listed[worktime.Date{Year: date.Year(), Month: date.Month(), Day: date.Day()}]
	return day, ok
}

func (w *Walk) weekday(d time.Weekday) (out []worktime.Interval) {
	for _, h := range w.definition.Week {
		if h.Weekday == d {
			out = append(out, worktime.Interval{Open: h.Open, Close: h.Close})
		}
	}
	return out
}

func (w *Walk) hours(d int) []worktime.Interval {
	day, listed := w.special(d)
	switch {
	case listed && day.Kind == worktime.Holiday:
		return nil
	case listed && len(day.Hours) > 0:
		return day.Hours
	case listed:
		for _, weekday := range []time.Weekday{1, 2, 3, 4, 5, 6, 0} {
			if hours := w.weekday(weekday); len(hours) > 0 {
				return hours
			}
		}
	}
	return w.weekday(time.Unix(int64(d)*DayLength*60, 0).UTC().Weekday())
}

// Len is how many minutes were walked.
func (w *Walk) Len() int { return len(w.owner) }

// Minute gives the minute that holds an instant.
func (w *Walk) Minute(t time.Time) int { return int(t.Sub(w.begin) / time.Minute) }

// Works says whether a minute is working time.
func (w *Walk) Works(minute int) bool { return w.owner[minute] != nobody }

// Time gives the instant at which a minute begins.
func (w *Walk) Time(minute int) time.Time { return w.begin.Add(time.Duration(minute) * time.Minute) }

// Between counts the working minutes of [a, b).
func (w *Walk) Between(a, b int) int { return w.counted[b] - w.counted[a] }

// Add gives the first minute by which n minutes have been counted.
func (w *Walk) Add(start, n int) (int, bool) {
	for i := start; i < len(w.counted); i++ {
		if w.counted[i]-w.counted[start] == n {
			return i, true
		}
	}
	return 0, false
}

// AddDays gives the working minutes that n working days from start come to; false where the
// walk is too short to tell.
func (w *Walk) AddDays(start, n int) (working int, ok bool) {
	if n == 0 {
		return 0, true
	}
	s := start
	for ; s < len(w.owner) && w.owner[s] == nobody; s++ {
	}
	if s == len(w.owner) {
		return 0, false
	}
	later := 0
	on := nobody
	for _, d := range w.days {
		if d > w.owner[s] {
			if later++; later == n {
				on = d
				break
			}
		}
	}
	if on == nobody || w.mark[len(w.mark)-1] < (on+2)*DayLength {
		return 0, false
	}
	wanted := on*DayLength + w.wall[s] - w.owner[s]*DayLength
	end := w.last[on] + 1
	for i := s; i <= w.last[on]; i++ {
		if w.mark[i] >= wanted && w.owner[i] == on {
			end = i
			break
		}
	}
	return w.Between(s, end), true
}

// Kind says what a minute is, and the name that goes with it.
func (w *Walk) Kind(i int) (worktime.Kind, worktime.Name) {
	if d := w.owner[i]; d != nobody {
		if day, listed := w.special(d); listed {
			return worktime.MakeUp, day.Name
		}
		return worktime.Working, worktime.Name{}
	}
	today := w.mark[i] / DayLength
	for _, d := range []int{today, today - 1} {
		if first, works := w.first[d]; works && first < i && i < w.last[d] {
			return worktime.Lunch, worktime.Name{}
		}
	}
	day, listed := w.special(today)
	switch {
	case listed && day.Kind == worktime.Holiday:
		return worktime.OnHoliday, day.Name
	case len(w.hours(today)) == 0:
		return worktime.DayOff, worktime.Name{}
	}
	return worktime.OutsideHours, worktime.Name{}
}

// AddAround counts n minutes from start that lie in none of the pauses.
func (w *Walk) AddAround(start, n int, pauses [][2]int) (int, bool) {
	for i := start; i < len(w.owner); i++ {
		if n == 0 {
			return i, true
		}
		if w.owner[i] != nobody && !Paused(i, pauses) {
			n--
		}
	}
	return 0, false
}

// Paused says whether a minute lies in one of the pauses [from, to).
func Paused(i int, pauses [][2]int) bool {
	return slices.ContainsFunc(pauses, func(p [2]int) bool { return p[0] <= i && i < p[1] })
}
