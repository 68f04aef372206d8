package worktime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Definition is a calendar as a person writes it down. [New] makes a [Calendar] of it.
type Definition struct {
	// ID and Version name the calendar and this state of it; they are carried, not read.
	ID, Version string
	// TimeZone is a name of the IANA database, such as "Asia/Shanghai".
	TimeZone string
	// Week holds the hours of the weekdays, in any order.
	Week []Hours
	// Years holds dates that differ from the week. A calendar without any year follows no
	// announced dates; in one with years, a year not listed is missing.
	Years []Year
}

// Hours is one interval of a weekday; a weekday has as many as it has entries.
type Hours struct {
	Weekday     time.Weekday
	Open, Close TimeOfDay
}

// Interval is the working time [Open, Close) of a day.
type Interval struct{ Open, Close TimeOfDay }

// Year holds what is known of the dates of one calendar year.
type Year struct {
	Year   int
	Status Status
	Days   []Day
}

// Day is a date that does not follow the week.
type Day struct {
	Date Date
	Kind DayKind
	// Name says why, in both languages.
	Name Name
	// Hours of a workday; without any it has those of the first working weekday, counted
	// from Monday. A holiday has none.
	Hours []Interval
}

// Name is a name in Chinese and in English; either may be empty.
type Name struct{ ZH, EN string }

// Status says how far the dates of a year can be relied on.
type Status string

// The statuses of a year. Of a missing year plain weeks are assumed, and every result that
// rests on it says so.
const (
	Official    Status = "official"
	Provisional Status = "provisional"
	Missing     Status = "missing"
)

// DayKind says what a date is that does not follow the week.
type DayKind string

// The kinds of dates. A workday is a make-up workday or a day with hours of its own.
const (
	Holiday DayKind = "holiday"
	Workday DayKind = "workday"
)

// Date is a day of the civil calendar, in the zone of the Definition that holds it.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// String gives the date as 2006-01-02.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

func (d Date) valid() bool { return dateOf(d.number()) == d }

// number counts the days since 1970-01-01.
func (d Date) number() int {
	return int(floorDiv(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix(), 24*60*60))
}

func dateOf(number int) Date {
	y, m, d := time.Unix(int64(number)*24*60*60, 0).UTC().Date()
	return Date{y, m, d}
}

// weekdayOf gives the weekday of a day number; 1970-01-01 was a Thursday.
func weekdayOf(number int) time.Weekday {
	return time.Weekday(((number+int(time.Thursday))%7 + 7) % 7)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// TimeOfDay is a reading of the wall clock in minutes past the midnight that begins the day.
// What is past 24:00 lies on the next date and still belongs to the day: a shift from 22:00
// to six in the morning closes at 30:00.
type TimeOfDay int

// midnight ends a day, twice it the date on which its last shift may end.
const midnight TimeOfDay = 24 * 60

// String gives the time as 09:00, 24:00 or 30:00.
func (t TimeOfDay) String() string {
	if t < 0 {
		return strconv.Itoa(int(t)) + " min"
	}
	return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60)
}

// ParseTimeOfDay reads a time from 00:00 to 48:00; anything else is an error that says so.
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	if len(s) == 5 && s[2] == ':' {
		h, errH := strconv.ParseUint(s[:2], 10, 8)
		m, errM := strconv.ParseUint(s[3:], 10, 8)
		if t := TimeOfDay(h*60 + m); errH == nil && errM == nil && m < 60 && t <= 2*midnight {
			return t, nil
		}
	}
	return 0, fmt.Errorf("%q is no time of a day; write one from 00:00 to 48:00, such as 09:00", s)
}

// ParseDate reads a date written as 2006-01-02; anything else is an error that says so.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is no date; write one that exists, such as 2026-02-16", s)
	}
	return Date{t.Year(), t.Month(), t.Day()}, nil
}

// ParseYear reads the dates of a year as an announcement lists them. The first line is the
// year and its status, each further one a date, its kind and its name, the English name
// after a bar; a workday of its own hours has them before the name. Empty lines and lines
// that begin with # say nothing.
//
//	2026 official
//	2026-02-14 workday 春节 | Spring Festival
//	2026-02-15 holiday 春节 | Spring Festival
//	2026-02-28 workday 10:00-12:00 13:00-16:00 春节
//
// The error names the line and what would be right. Whether the dates fit a calendar is
// for [New] to say.
func ParseYear(text string) (Year, error) {
	var out Year
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if out.Year == 0 {
			year, err := strconv.Atoi(words[0])
			if err != nil || year < firstYear || year > lastYear || len(words) != 2 {
				return Year{}, fmt.Errorf("line %d: %q: the first line is the year and its status, such as %q",
					i+1, line, "2026 official")
			}
			out.Year, out.Status = year, Status(words[1])
			continue
		}
		day, err := parseDay(words)
		if err != nil {
			return Year{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		out.Days = append(out.Days, day)
	}
	if out.Year == 0 {
		return Year{}, fmt.Errorf("the list is empty; its first line is the year and its status, such as %q", "2026 official")
	}
	return out, nil
}

func parseDay(words []string) (Day, error) {
	date, err := ParseDate(words[0])
	if err != nil {
		return Day{}, err
	}
	day := Day{Date: date}
	if len(words) > 1 {
		day.Kind = DayKind(words[1])
	}
	if day.Kind != Holiday && day.Kind != Workday {
		return Day{}, fmt.Errorf("%s is followed by %q; write holiday or workday", date, day.Kind)
	}
	rest := words[2:]
	for len(rest) > 0 && rest[0][0] >= '0' && rest[0][0] <= '9' && strings.Count(rest[0], "-") == 1 {
		from, to, _ := strings.Cut(rest[0], "-")
		opening, errOpen := ParseTimeOfDay(from)
		closing, errClose := ParseTimeOfDay(to)
		if errOpen != nil || errClose != nil {
			return Day{}, fmt.Errorf("%s: %q are no hours; write them as 09:00-12:00", date, rest[0])
		}
		day.Hours = append(day.Hours, Interval{opening, closing})
		rest = rest[1:]
	}
	zh, en, _ := strings.Cut(strings.Join(rest, " "), "|")
	day.Name = Name{ZH: strings.TrimSpace(zh), EN: strings.TrimSpace(en)}
	return day, nil
}

// clone shares nothing with d that could change.
func (d Definition) clone() Definition {
	d.Week = slices.Clone(d.Week)
	d.Years = slices.Clone(d.Years)
	for i := range d.Years {
		d.Years[i].Days = slices.Clone(d.Years[i].Days)
		for j := range d.Years[i].Days {
			d.Years[i].Days[j].Hours = slices.Clone(d.Years[i].Days[j].Hours)
		}
	}
	return d
}
