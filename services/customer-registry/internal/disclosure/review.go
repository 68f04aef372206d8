package disclosure

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Quarter is a quarter of the company's calendar.
type Quarter struct{ Year, Number int }

var quarterForm = regexp.MustCompile(`^(20[0-9]{2})-q([1-4])$`)

// ParseQuarter reads a quarter such as 2026-q4; false for anything else.
func ParseQuarter(id string) (Quarter, bool) {
	parts := quarterForm.FindStringSubmatch(id)
	if parts == nil {
		return Quarter{}, false
	}
	year, errYear := strconv.Atoi(parts[1])
	number, errNumber := strconv.Atoi(parts[2])
	return Quarter{year, number}, errYear == nil && errNumber == nil
}

// String is the quarter's id.
func (q Quarter) String() string { return fmt.Sprintf("%d-q%d", q.Year, q.Number) }

// Span gives the first instant of the quarter and the first after it.
func (q Quarter) Span(zone *time.Location) (start, end time.Time) {
	start = time.Date(q.Year, time.Month(3*q.Number-2), 1, 0, 0, 0, 0, zone)
	return start, start.AddDate(0, 3, 0)
}

// Next is the quarter after it.
func (q Quarter) Next() Quarter {
	if q.Number == 4 {
		return Quarter{q.Year + 1, 1}
	}
	return Quarter{q.Year, q.Number + 1}
}

// Due is when the review of the quarter is overdue: so many days after its end.
func (q Quarter) Due(days int32, zone *time.Location) time.Time {
	_, end := q.Span(zone)
	return end.AddDate(0, 0, int(days))
}

// QuarterOf gives the quarter of an instant.
func QuarterOf(at time.Time, zone *time.Location) Quarter {
	local := at.In(zone)
	return Quarter{local.Year(), (int(local.Month()) + 2) / 3}
}

// Unsigned gives the quarters from the one of first that are over at now and not in signed,
// the newest first.
func Unsigned(first, now time.Time, signed []string, zone *time.Location) []Quarter {
	var out []Quarter
	for q := QuarterOf(first, zone); ; q = q.Next() {
		if _, end := q.Span(zone); now.Before(end) {
			slices.Reverse(out)
			return out
		}
		if !slices.Contains(signed, q.String()) {
			out = append(out, q)
		}
	}
}

// Day gives the civil day of an instant and the first instant after it.
func Day(at time.Time, zone *time.Location) (day, next time.Time) {
	local := at.In(zone)
	day = time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	return day, time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, zone)
}

const (
	// unusualLeast is the number of reads a day below which nothing stands out.
	unusualLeast = 20
	// unusualTimes is how many times the median stands out.
	unusualTimes = 3
)

// Unusual tells whose busiest day stands out from everybody's. One reader alone is compared
// with nobody and never stands out.
func Unusual(busiest []int32) []bool {
	sorted := slices.Sorted(slices.Values(busiest))
	out := make([]bool, len(busiest))
	if len(sorted) < 2 {
		return out
	}
	// Twice the median, so that it is whole.
	twice := int64(sorted[(len(sorted)-1)/2]) + int64(sorted[len(sorted)/2])
	for i, n := range busiest {
		out[i] = n >= unusualLeast && 2*int64(n) > unusualTimes*twice
	}
	return out
}
