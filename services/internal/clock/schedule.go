package clock

import (
	"slices"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// apart orders pauses and joins those that overlap, under the first one's reason.
func apart(pauses []Pause) []Pause {
	slices.SortStableFunc(pauses, func(a, b Pause) int { return a.Start.Compare(b.Start) })
	out := pauses[:0]
	for _, p := range pauses {
		if n := len(out); n > 0 && (out[n-1].End.IsZero() || p.Start.Before(out[n-1].End)) {
			if last := &out[n-1]; !last.End.IsZero() && (p.End.IsZero() || p.End.After(last.End)) {
				last.End = p.End
			}
			continue
		}
		out = append(out, p)
	}
	return out
}

// reach gives the earliest instant at which n of working time has been counted from start
// outside pauses, which are in order and apart; zero if a pause without end comes first.
func reach(cal *worktime.Calendar, start time.Time, n time.Duration, pauses []Pause) (time.Time, error) {
	at := start
	for _, p := range pauses {
		if !p.End.IsZero() && !p.End.After(at) {
			continue
		}
		if at.Before(p.Start) {
			done := cal.Between(at, p.Start)
			if done >= n {
				break
			}
			n -= done
		}
		if p.End.IsZero() {
			return time.Time{}, nil
		}
		at = p.End
	}
	return cal.Add(at, n)
}

// counted gives the working time from start to an instant outside pauses, which are in
// order and apart.
func counted(cal *worktime.Calendar, start, until time.Time, pauses []Pause) time.Duration {
	var sum time.Duration
	at := start
	for _, p := range pauses {
		if !p.Start.Before(until) {
			break
		}
		if at.Before(p.Start) {
			sum += cal.Between(at, p.Start)
		}
		if p.End.IsZero() {
			return sum
		}
		at = latest(at, p.End)
	}
	if at.Before(until) {
		sum += cal.Between(at, until)
	}
	return sum
}
