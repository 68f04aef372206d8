package clock_test

import (
	"slices"
	"time"

	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/minutewalk"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// oracle judges a log by walking from its start minute by minute. It shares nothing with
// the engine but the words a log and a calendar are written in.
type oracle struct {
	walk   *minutewalk.Walk
	kinds  []worktime.Kind // of the minutes of the walk
	start  int             // minutes of the walk
	stop   int             // none while the clock is open
	due    int             // none where it is not reached within the walk
	rests  []bool          // the minutes of the walk that a pause takes
	target time.Duration
	terms  *clock.Terms
	log    []clock.Entry
}

const none = -1

// calendarWalk is a calendar that was walked through.
type calendarWalk struct {
	*minutewalk.Walk
	kinds []worktime.Kind
}

func walkOver(d worktime.Definition, begin time.Time, minutes int) *calendarWalk {
	w := &calendarWalk{Walk: minutewalk.Over(d, begin, minutes)}
	for i := range w.Len() {
		kind, _ := w.Kind(i)
		w.kinds = append(w.kinds, kind)
	}
	return w
}

// minutesOf gives the working minutes that a target comes to; false where the walk ends
// before.
func (w *calendarWalk) minutesOf(start int, t worktime.Target) (int, bool) {
	if t.WorkingDays != 0 {
		return w.AddDays(start, t.WorkingDays)
	}
	return int(t.WorkingTime / time.Minute), true
}

// working gives the working minutes of terms that are entered for a start.
func (w *calendarWalk) working(start time.Time, t *clock.Terms) (int, bool) {
	from := w.Minute(start)
	n, ok := w.minutesOf(from, t.Target)
	if !ok || t.Floor == nil {
		return n, ok
	}
	floor := w.Minute(t.Floor.From)
	least, ok := w.minutesOf(floor, t.Floor.Target)
	if !ok {
		return 0, false
	}
	until, ok := w.Add(floor, least)
	if !ok {
		return 0, false
	}
	return max(n, w.Between(from, until)), true
}

// judge walks a log.
func judge(log []clock.Entry, walks map[string]*calendarWalk) *oracle {
	o := &oracle{log: log, stop: none}
	for i := range log {
		if log[i].Terms != nil {
			o.terms = log[i].Terms
		}
	}
	w := walks[o.terms.CalendarID]
	o.walk, o.kinds, o.start = w.Walk, w.kinds, w.Minute(log[0].At)
	for _, e := range log {
		if e.Type == clock.EntryStopped || e.Type == clock.EntryCancelled {
			o.stop = max(o.start, w.Minute(e.At))
		}
	}
	o.rest()
	n, _ := w.working(log[0].At, o.terms)
	o.target = time.Duration(n) * time.Minute
	for _, e := range log {
		if e.Type == clock.EntryExtended {
			at := w.Minute(e.At)
			if due := o.reached(n); due == none || at <= due {
				n = max(n, o.counted(at)+int(e.Amount/time.Minute))
			}
		}
	}
	o.target, o.due = time.Duration(n)*time.Minute, o.reached(n)
	return o
}

// rest marks the minutes of pauses that count, up to the stop.
func (o *oracle) rest() {
	o.rests = make([]bool, o.walk.Len())
	for i, from := range o.log {
		if from.Type != clock.EntryPaused || !slices.Contains(o.terms.PauseReasons, from.Reason) {
			continue
		}
		until := len(o.rests)
		for _, to := range o.log[i+1:] {
			if to.Type == clock.EntryResumed && to.Reason == from.Reason {
				until = o.walk.Minute(to.At)
				break
			}
		}
		if o.stop != none {
			until = min(until, o.stop)
		}
		for m := o.walk.Minute(from.At); m < until; m++ {
			o.rests[m] = true
		}
	}
}

func (o *oracle) counts(minute int) bool { return o.walk.Works(minute) && !o.rests[minute] }

// reached gives the end of the n-th counted minute.
func (o *oracle) reached(n int) int {
	for m := o.start; m < o.walk.Len(); m++ {
		if o.counts(m) {
			if n--; n == 0 {
				return m + 1
			}
		}
	}
	return none
}

// share gives when a part of some time was counted, which may be within a minute; false
// where that is beyond the walk.
func (o *oracle) share(from int, part time.Duration, counts func(minute int) bool) (time.Time, bool) {
	for m := from; m < o.walk.Len(); m++ {
		if !counts(m) {
			continue
		}
		if part <= time.Minute {
			return o.walk.Time(m).Add(part), true
		}
		part -= time.Minute
	}
	return time.Time{}, false
}

// fires gives when a step is to fire, the miss where it has no name; false for never, or not
// within the walk.
func (o *oracle) fires(step clock.Step) (time.Time, bool) {
	if o.stop != none || step.ID == "" && !o.detected().IsZero() {
		return time.Time{}, false
	}
	for _, e := range o.log {
		if e.Step != "" && e.Step == step.ID {
			return time.Time{}, false
		}
	}
	part := o.target * time.Duration(step.Percent) / 100
	if step.Percent < 100 {
		return o.share(o.start, part, o.counts)
	}
	if o.due == none {
		return time.Time{}, false
	}
	at, ok := o.walk.Time(o.due), true
	if part > o.target {
		at, ok = o.share(o.due, part-o.target, o.walk.Works)
	}
	return at.Add(time.Microsecond), ok
}

// counted counts from the start to a minute.
func (o *oracle) counted(until int) (n int) {
	for m := o.start; m < until; m++ {
		if o.counts(m) {
			n++
		}
	}
	return n
}

// until is the minute as of which the clock is looked at.
func (o *oracle) until(now int) int {
	if o.stop != none {
		return o.stop
	}
	return max(now, o.start)
}

// elapsed is what was counted, and after due all working time.
func (o *oracle) elapsed(now int) time.Duration {
	until := o.until(now)
	if o.due == none || until <= o.due {
		return time.Duration(o.counted(until)) * time.Minute
	}
	return o.target + time.Duration(o.walk.Between(o.due, until))*time.Minute
}

// late is by how much the clock is past due, in real and in working time.
func (o *oracle) late(now int) (real, working time.Duration) {
	until := o.until(now)
	if o.due == none || until <= o.due {
		return 0, 0
	}
	return time.Duration(until-o.due) * time.Minute, time.Duration(o.walk.Between(o.due, until)) * time.Minute
}

// detected is when the miss that stands was found.
func (o *oracle) detected() time.Time {
	if o.due == none || o.stop != none && o.stop <= o.due {
		return time.Time{}
	}
	for _, e := range o.log {
		if e.Type == clock.EntryMissed && e.At.After(o.walk.Time(o.due)) {
			return e.At
		}
	}
	return time.Time{}
}

func (o *oracle) phase(now int) clock.Phase {
	late, _ := o.late(now)
	switch {
	case late > 0:
		return clock.Missed
	case o.stop == none && !o.detected().IsZero():
		return clock.Missed // found so by a clock that went ahead
	case o.stop == none && o.due == none && o.rests[len(o.rests)-1]:
		return clock.Paused
	case o.stop == none:
		return clock.Running
	case o.log[len(o.log)-1].Type == clock.EntryCancelled:
		return clock.Cancelled
	}
	return clock.Met
}

// sums adds the receipt's minutes up by kind.
func (o *oracle) sums(now int) map[worktime.Kind]time.Duration {
	end := o.due
	if end == none {
		end = o.until(now)
	}
	sums := map[worktime.Kind]time.Duration{}
	for m := o.start; m < end; m++ {
		kind := o.kinds[m]
		if o.rests[m] {
			kind = worktime.Paused
		}
		sums[kind] += time.Minute
	}
	return sums
}
