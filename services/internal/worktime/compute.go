package worktime

import (
	"time"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Target is an amount of working time, named as such or as working days. It is one of the
// two; neither is a target of no time.
type Target struct {
	WorkingTime time.Duration
	WorkingDays int
}

// Result is when a target is complete and how that came about.
type Result struct {
	Due time.Time
	// WorkingTime is the target in working time.
	WorkingTime time.Duration
	// Segments are the pieces from the start to Due; those that count add up to WorkingTime.
	Segments []Segment
	// Basis names the years between the start and the end of the working days that are
	// assumed or provisional.
	Basis Basis
}

// Compute gives the instant at which a target is complete whose count begins at start and
// rests in pauses. Working days are turned into working time at the start, as if there were
// no pause. Pauses may come in any order and overlap; one that begins when the target is
// complete, or later, changes nothing. Refused is what [Calendar.Add], [Calendar.WorkingTime]
// and [Calendar.Segments] refuse, and a target that names both amounts.
func (c *Calendar) Compute(start time.Time, target Target, pauses []Pause) (Result, error) {
	s, err := instant("start", start)
	if err != nil {
		return Result{}, err
	}
	if target.WorkingTime != 0 && target.WorkingDays != 0 {
		return Result{}, rpcerr.Invalid("working_days", rpcerr.T(
			"it is %[1]d and working_time is %[2]s; give one of the two",
			"现为 %[1]d，同时 working_time 为 %[2]s；两者只能填写其一", target.WorkingDays, target.WorkingTime))
	}
	holds, err := joined(pauses)
	if err != nil {
		return Result{}, err
	}
	working, reach := int64(target.WorkingTime), s
	if target.WorkingDays != 0 {
		if reach, err = c.end(s, target.WorkingDays); err != nil {
			return Result{}, err
		}
		working = c.between(s, reach)
	}
	due, err := c.addAround(s, working, holds)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Due:         timeOf(due),
		WorkingTime: time.Duration(working),
		Segments:    segments(overlay(c.pieces(s, due), holds)),
		Basis:       c.basis(s, max(due, reach)),
	}, nil
}

// addAround counts working time from start outside pauses, which are in order and apart.
func (c *Calendar) addAround(start, working int64, pauses []piece) (int64, error) {
	if working <= 0 {
		return c.add(start, working)
	}
	at := start
	for _, p := range pauses {
		if p.to <= at {
			continue
		}
		if at < p.from {
			counted := c.between(at, p.from)
			if counted >= working {
				break
			}
			working -= counted
		}
		at = p.to
	}
	return c.add(at, working)
}
