package worktime

import (
	"math"
	"time"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// ReasonNeverReached says that a calendar has less working time than was asked for.
const ReasonNeverReached = "WORKING_TIME_NEVER_REACHED"

// maxDays is more than there are days in the supported years.
const maxDays = (lastYear - firstYear + 2) * 366

// The supported instants, by UTC: all of the years firstYear to lastYear.
const (
	earliest = 0
	latest   = 7_258_118_400*int64(time.Second) - 1
)

// clamp takes an instant outside the supported years for the nearest inside.
func clamp(t time.Time) int64 {
	switch s := t.Unix(); {
	case s < earliest:
		return earliest
	case s > latest/int64(time.Second):
		return latest
	}
	return t.UnixNano()
}

// instant refuses what lies outside the supported years.
func instant(field string, t time.Time) (int64, error) {
	n := clamp(t)
	if !time.Unix(0, n).Equal(t) {
		return 0, rpcerr.Invalid(field, rpcerr.T(
			"it is %[1]s; give an instant of the years %[2]d to %[3]d",
			"现为 %[1]s；请填写 %[2]d 至 %[3]d 年之间的时刻", t.UTC().Format(time.RFC3339), firstYear, lastYear))
	}
	return n, nil
}

func timeOf(n int64) time.Time { return time.Unix(0, n).UTC() }

func neverReached() error {
	return rpcerr.WrongState(ReasonNeverReached, rpcerr.T(
		"The calendar does not hold that much working time before the end of the year %[1]d; ask for less, or check the calendar's hours and dates.",
		"截至 %[1]d 年底，该日历没有这么多工作时间；请减少目标时长，或检查日历的工作时间与日期。", lastYear))
}

// IsWorking says whether an instant is working time. Outside the supported years nothing is.
func (c *Calendar) IsWorking(t time.Time) bool {
	n := clamp(t)
	if !time.Unix(0, n).Equal(t) {
		return false
	}
	tab := c.at(n)
	i := tab.last(n)
	return i >= 0 && n < tab.spans[i].close
}

// Between gives the working time from a to b, negative if b is before a. An instant outside
// the supported years counts as the nearest inside.
func (c *Calendar) Between(a, b time.Time) time.Duration {
	return time.Duration(c.between(clamp(a), clamp(b)))
}

func (c *Calendar) between(a, b int64) int64 {
	if b < a {
		return -c.between(b, a)
	}
	from, to := c.at(a), c.at(b)
	sum := to.worked(b) - from.worked(a)
	for y := from.year; y < to.year; y++ {
		sum += c.table(y).total
	}
	return sum
}

// Add gives the earliest instant at or after start, in UTC, at which working time has been
// counted for the given duration. No duration is complete at start itself, which need not
// be working time. Refused are a negative duration, a start outside the supported years,
// and, with [ReasonNeverReached], a target beyond them.
func (c *Calendar) Add(start time.Time, working time.Duration) (time.Time, error) {
	s, err := instant("start", start)
	if err != nil {
		return time.Time{}, err
	}
	due, err := c.add(s, int64(working))
	if err != nil {
		return time.Time{}, err
	}
	return timeOf(due), nil
}

func (c *Calendar) add(start, working int64) (int64, error) {
	if working < 0 {
		return 0, rpcerr.Invalid("working_time", rpcerr.T(
			"it is %[1]s; give zero or more", "现为 %[1]s；请填写零或正值", time.Duration(working)))
	}
	if working == 0 {
		return start, nil
	}
	tab := c.at(start)
	done := tab.worked(start)
	if working > math.MaxInt64-done {
		return 0, neverReached()
	}
	for n := done + working; ; tab = c.table(tab.year + 1) {
		if n <= tab.total {
			due := tab.reach(n)
			if due > latest {
				return 0, neverReached()
			}
			return due, nil
		}
		if n -= tab.total; tab.year > lastYear {
			return 0, neverReached()
		}
	}
}

// AddWorkingDays gives the instant, in UTC, at which a target of n working days from start
// is complete. A start outside working time moves to the next working instant; D is the day
// whose shift holds it. The n days end as far past local midnight, by the wall clock, on the
// n-th working day after D, moved to the next working instant of that day, or its close. The
// result is the earliest instant at which the working time up to that end has been counted.
// A date on which no working time passes at all is no working day. No days are complete at
// start itself. Refused are a negative n and what [Calendar.Add] refuses.
func (c *Calendar) AddWorkingDays(start time.Time, n int) (time.Time, error) {
	working, err := c.WorkingTime(start, n)
	if err != nil {
		return time.Time{}, err
	}
	return c.Add(start, working)
}

// WorkingTime gives the working time that a target of n working days from start comes to,
// by the rule of [Calendar.AddWorkingDays] and with its refusals.
func (c *Calendar) WorkingTime(start time.Time, n int) (time.Duration, error) {
	s, err := instant("start", start)
	if err != nil {
		return 0, err
	}
	end, err := c.end(s, n)
	if err != nil {
		return 0, err
	}
	return time.Duration(c.between(s, end)), nil
}

// end gives the instant to which n working days from start reach.
func (c *Calendar) end(start int64, n int) (int64, error) {
	if n < 0 {
		return 0, rpcerr.Invalid("working_days", rpcerr.T(
			"it is %[1]d; give zero or more", "现为 %[1]d；请填写零或正值", n))
	}
	if n == 0 {
		return start, nil
	}
	if n > maxDays {
		return 0, neverReached()
	}
	first, d, ok := c.next(start)
	if !ok || first > latest {
		return 0, neverReached()
	}
	distance := c.at(first).zone.wall(first) - int64(d)*day
	on, tab, ok := c.workday(d, n)
	if !ok {
		return 0, neverReached()
	}
	shift := c.shift(tab.zone, on, nil)
	end := shift[len(shift)-1].close
	wanted := tab.zone.first(int64(on)*day + distance)
	for _, s := range shift {
		if wanted < s.close {
			end = max(wanted, s.open)
			break
		}
	}
	if end > latest {
		return 0, neverReached()
	}
	return end, nil
}
