package worktime_test

import (
	"slices"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// walk is a stretch of time read minute by minute off the wall clock. It knows nothing of
// tables, sums or time zone periods, so that it can judge the arithmetic that does.
type walk struct {
	definition worktime.Definition
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
	nobody    = -1 << 31
	dayLength = 24 * 60
	// margin is what a walk needs on both sides of a question.
	margin = 3 * dayLength
)

func walked(d worktime.Definition, begin time.Time, minutes int) *walk {
	loc, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		panic(err)
	}
	w := &walk{definition: d, begin: begin, first: map[int]int{}, last: map[int]int{}, counted: []int{0}}
	hours := map[int][]worktime.Interval{}
	mark := nobody
	for i := -margin; i < minutes; i++ {
		t := begin.Add(time.Duration(i) * time.Minute).In(loc)
		_, offset := t.Zone()
		wall := int(t.Unix())/60 + offset/60
		mark = max(mark, wall)
		if i < 0 {
			continue
		}
		owner := nobody
		for _, d := range []int{mark / dayLength, mark/dayLength - 1} {
			of, known := hours[d]
			if !known {
				of = w.hours(d)
				hours[d] = of
			}
			for _, h := range of {
				if at := worktime.TimeOfDay(mark - d*dayLength); h.Open <= at && at < h.Close {
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

// listed finds a date in the definition.
func (w *walk) listed(d int) (worktime.Day, bool) {
	date := time.Unix(int64(d)*dayLength*60, 0).UTC()
	for _, y := range w.definition.Years {
		for _, day := range y.Days {
			if day.Date == (worktime.Date{Year: date.Year(), Month: date.Month(), Day: date.Day()}) {
				return day, true
			}
		}
	}
	return worktime.Day{}, false
}

func (w *walk) weekday(d time.Weekday) (out []worktime.Interval) {
	for _, h := range w.definition.Week {
		if h.Weekday == d {
			out = append(out, worktime.Interval{Open: h.Open, Close: h.Close})
		}
	}
	return out
}

func (w *walk) hours(d int) []worktime.Interval {
	day, listed := w.listed(d)
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
	return w.weekday(time.Unix(int64(d)*dayLength*60, 0).UTC().Weekday())
}

func (w *walk) time(minute int) time.Time { return w.begin.Add(time.Duration(minute) * time.Minute) }

func (w *walk) between(a, b int) int { return w.counted[b] - w.counted[a] }

// add gives the first minute by which n minutes have been counted.
func (w *walk) add(start, n int) (int, bool) {
	for i := start; i < len(w.counted); i++ {
		if w.counted[i]-w.counted[start] == n {
			return i, true
		}
	}
	return 0, false
}

// days gives the minutes that n working days from start come to.
func (w *walk) addDays(start, n int) (working int, ok bool) {
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
	if on == nobody || w.mark[len(w.mark)-1] < (on+2)*dayLength {
		return 0, false
	}
	wanted := on*dayLength + w.wall[s] - w.owner[s]*dayLength
	end := w.last[on] + 1
	for i := s; i <= w.last[on]; i++ {
		if w.mark[i] >= wanted && w.owner[i] == on {
			end = i
			break
		}
	}
	return w.between(s, end), true
}

// kind says what a minute is, and the name that goes with it.
func (w *walk) kind(i int) (worktime.Kind, worktime.Name) {
	if d := w.owner[i]; d != nobody {
		if day, listed := w.listed(d); listed {
			return worktime.MakeUp, day.Name
		}
		return worktime.Working, worktime.Name{}
	}
	today := w.mark[i] / dayLength
	for _, d := range []int{today, today - 1} {
		if first, works := w.first[d]; works && first < i && i < w.last[d] {
			return worktime.Lunch, worktime.Name{}
		}
	}
	day, listed := w.listed(today)
	switch {
	case listed && day.Kind == worktime.Holiday:
		return worktime.OnHoliday, day.Name
	case len(w.hours(today)) == 0:
		return worktime.DayOff, worktime.Name{}
	}
	return worktime.OutsideHours, worktime.Name{}
}

// addAround counts n minutes from start that lie in none of the pauses.
func (w *walk) addAround(start, n int, pauses [][2]int) (int, bool) {
	for i := start; i < len(w.owner); i++ {
		if n == 0 {
			return i, true
		}
		if w.owner[i] != nobody && !paused(i, pauses) {
			n--
		}
	}
	return 0, false
}

func paused(i int, pauses [][2]int) bool {
	return slices.ContainsFunc(pauses, func(p [2]int) bool { return p[0] <= i && i < p[1] })
}
