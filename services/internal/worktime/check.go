package worktime

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// What a definition may hold.
const (
	maxIntervals  = 12
	maxName       = 100
	maxViolations = 50
)

// checker gathers what is wrong with a definition.
type checker struct {
	prefix string
	err    *rpcerr.Error
	n      int
}

func (c *checker) add(field, en, zh string, args ...any) {
	c.n++
	text := rpcerr.T(en, zh, args...)
	switch {
	case c.n == 1:
		c.err = rpcerr.Invalid(c.prefix+field, text)
	case c.n <= maxViolations:
		c.err = c.err.Field(c.prefix+field, text)
	}
}

// Check refuses a definition that makes no calendar: an unknown zone, hours that end before
// they begin, overlap or leave every weekday closed, dates that do not exist, stand twice or
// in the wrong year. The error names each field, its value and what would be right; prefix
// goes before the path of a field ("calendar.").
func Check(prefix string, d Definition) error {
	c := &checker{prefix: prefix}
	c.zone(d.TimeZone)
	c.week(d.Week)
	c.years(d.Years)
	if c.n == 0 {
		// Neighbours can only be compared once each day alone makes sense.
		c.neighbours(d)
	}
	if c.n == 0 {
		return nil
	}
	return c.err
}

func (c *checker) zone(name string) {
	// The empty name and "Local" would load, and mean something else on every machine.
	if name != "" && name != "Local" {
		if _, err := time.LoadLocation(name); err == nil {
			return
		}
	}
	c.add("time_zone", "%[1]q is not known; give a name of the IANA database, such as Asia/Shanghai",
		"%[1]q 不是已知时区；请填写 IANA 时区名，例如 Asia/Shanghai", name)
}

func (c *checker) week(hours []Hours) {
	var days [7][]Interval
	for i, h := range hours {
		if h.Weekday < time.Sunday || h.Weekday > time.Saturday {
			c.add(fmt.Sprintf("week[%d].weekday", i), "it is %[1]d; give a day from Monday to Sunday",
				"现为 %[1]d；请填写星期一至星期日", int(h.Weekday))
			return
		}
		days[h.Weekday] = append(days[h.Weekday], Interval{h.Open, h.Close})
	}
	for w := range days {
		// Intervals are numbered in the list they came in.
		c.intervals(days[w], func(n int) string { return fmt.Sprintf("week[%d]", nth(hours, time.Weekday(w), n)) })
	}
	if len(hours) == 0 {
		c.add("week", "no weekday has hours, so the calendar would never open; give at least one weekday an interval",
			"没有任何一天有工作时间，日历将永不开放；请至少为一天填写一个时段")
	}
}

// nth finds the n-th entry of a weekday.
func nth(hours []Hours, weekday time.Weekday, n int) int {
	for i, h := range hours {
		if h.Weekday != weekday {
			continue
		}
		if n == 0 {
			return i
		}
		n--
	}
	return -1
}

// intervals judges the hours of one day.
func (c *checker) intervals(hours []Interval, path func(int) string) {
	if len(hours) > maxIntervals {
		c.add(path(maxIntervals), "the day has %[1]d intervals; give at most %[2]d",
			"当天有 %[1]d 个时段；最多 %[2]d 个", len(hours), maxIntervals)
		return
	}
	before := c.n
	for i, h := range hours {
		c.interval(h, path(i))
	}
	if c.n > before || len(hours) == 0 {
		return
	}
	sorted := make([]Interval, len(hours))
	copy(sorted, hours)
	sortHours(sorted)
	for i, h := range sorted[1:] {
		if h.Open < sorted[i].Close {
			c.add(path(indexOf(hours, h))+".open", "%[1]s lies inside %[2]s-%[3]s of the same day; begin at %[3]s or later, or join the two",
				"%[1]s 落在同一天的 %[2]s-%[3]s 之内；请从 %[3]s 或之后开始，或合并两个时段", h.Open, sorted[i].Open, sorted[i].Close)
			return
		}
	}
	from, to := sorted[0], sorted[len(sorted)-1]
	if from.Open >= midnight {
		c.add(path(indexOf(hours, from))+".open", "the day's first interval begins at %[1]s, on the next date; give it to the next day, from %[2]s",
			"当天第一个时段始于 %[1]s，已是次日；请归入次日，从 %[2]s 开始", from.Open, from.Open-midnight)
	} else if to.Close-from.Open > midnight {
		c.add(path(indexOf(hours, to))+".close", "the day runs from %[1]s to %[2]s, longer than 24 hours; end at %[3]s or before",
			"当天自 %[1]s 至 %[2]s，超过 24 小时；请在 %[3]s 或之前结束", from.Open, to.Close, from.Open+midnight)
	}
}

func indexOf(hours []Interval, h Interval) int {
	for i := len(hours) - 1; i > 0; i-- {
		if hours[i] == h {
			return i
		}
	}
	return 0
}

func (c *checker) interval(h Interval, path string) {
	for _, part := range []struct {
		name string
		at   TimeOfDay
	}{{".open", h.Open}, {".close", h.Close}} {
		if part.at < 0 || part.at > 2*midnight {
			c.add(path+part.name, "it is %[1]s; give a time from 00:00 to 48:00",
				"现为 %[1]s；请填写 00:00 至 48:00 之间的时间", part.at)
			return
		}
	}
	if h.Close > h.Open {
		return
	}
	if next := h.Close + midnight; h.Close < h.Open && next <= 2*midnight {
		c.add(path+".close", "%[1]s is before the opening at %[2]s; close later, or at %[3]s if it means the next morning",
			"%[1]s 早于开始时间 %[2]s；请填写更晚的时间，若指次日请写 %[3]s", h.Close, h.Open, next)
		return
	}
	c.add(path+".close", "%[1]s is the opening itself; close later, after 24 hours at most", "%[1]s 与开始时间相同；请填写更晚的时间，最长 24 小时", h.Close)
}

func (c *checker) years(years []Year) {
	seen := map[int]bool{}
	dates := map[Date]bool{}
	for i, y := range years {
		path := fmt.Sprintf("years[%d]", i)
		switch {
		case y.Year < firstYear || y.Year > lastYear:
			c.add(path+".year", "it is %[1]d; give a year from %[2]d to %[3]d", "现为 %[1]d；请填写 %[2]d 至 %[3]d 之间的年份",
				y.Year, firstYear, lastYear)
			continue
		case seen[y.Year]:
			c.add(path+".year", "%[1]d stands twice; list each year once", "%[1]d 年重复；每个年份只列一次", y.Year)
			continue
		}
		seen[y.Year] = true
		switch y.Status {
		case Official, Provisional:
		case Missing:
			if len(y.Days) > 0 {
				c.add(path+".status", "the year %[1]d is missing yet has %[2]d dates; call it provisional or official, or leave the dates out",
					"%[1]d 年状态为缺失却列有 %[2]d 个日期；请改为暂定或正式，或删去日期", y.Year, len(y.Days))
				continue
			}
		default:
			c.add(path+".status", "it is %[1]q; give official, provisional or missing", "现为 %[1]q；请填写 official、provisional 或 missing", y.Status)
		}
		for j, d := range y.Days {
			c.day(fmt.Sprintf("%s.days[%d]", path, j), y.Year, d, dates)
		}
	}
}

func (c *checker) day(path string, year int, d Day, seen map[Date]bool) {
	switch {
	case !d.Date.valid():
		c.add(path+".date", "%[1]s does not exist; give a date of %[2]d", "%[1]s 不存在；请填写 %[2]d 年的日期", d.Date, year)
		return
	case d.Date.Year != year:
		c.add(path+".date", "%[1]s is not in %[2]d; list it under its own year", "%[1]s 不在 %[2]d 年；请列入其所属年份", d.Date, year)
		return
	case seen[d.Date]:
		c.add(path+".date", "%[1]s stands twice; a date is either a holiday or a workday", "%[1]s 重复；一个日期只能是假日或工作日之一", d.Date)
		return
	}
	seen[d.Date] = true
	switch {
	case d.Kind != Holiday && d.Kind != Workday:
		c.add(path+".kind", "it is %[1]q; give holiday or workday", "现为 %[1]q；请填写 holiday 或 workday", d.Kind)
	case d.Kind == Holiday && len(d.Hours) > 0:
		c.add(path+".hours", "%[1]s is a holiday with %[2]d intervals; leave them out, or call it a workday",
			"%[1]s 是假日却有 %[2]d 个时段；请删去时段，或改为工作日", d.Date, len(d.Hours))
	}
	for _, name := range []struct{ path, text string }{{".name.zh", d.Name.ZH}, {".name.en", d.Name.EN}} {
		if n := utf8.RuneCountInString(name.text); n > maxName {
			c.add(path+name.path, "it has %[1]d characters; give at most %[2]d", "现为 %[1]d 个字符；最多 %[2]d 个", n, maxName)
		}
	}
	c.intervals(d.Hours, func(n int) string { return fmt.Sprintf("%s.hours[%d]", path, n) })
}

// neighbours wants that a day's shift ends before the next day's begins.
func (c *checker) neighbours(d Definition) {
	days := week(d.Week)
	for w := range days {
		next := days[(w+1)%7]
		if over, ok := overlap(days[w], next); ok {
			c.add("week", "%[1]s ends at %[2]s, after %[3]s opens at %[4]s; end at %[5]s or before",
				"%[1]s 结束于 %[2]s，晚于 %[3]s 的开始时间 %[4]s；请在 %[5]s 或之前结束",
				time.Weekday(w), over, time.Weekday((w+1)%7), next[0].Open, next[0].Open+midnight)
			return
		}
	}
	dates := map[int][]Interval{}
	for _, y := range d.Years {
		for _, day := range y.Days {
			dates[day.Date.number()] = hoursOf(days, day)
		}
	}
	hours := func(n int) []Interval {
		if h, ok := dates[n]; ok {
			return h
		}
		return days[weekdayOf(n)]
	}
	for i, y := range d.Years {
		for j, day := range y.Days {
			n := day.Date.number()
			for _, m := range []int{n - 1, n} {
				if over, ok := overlap(hours(m), hours(m+1)); ok {
					c.add(fmt.Sprintf("years[%d].days[%d].hours", i, j), "%[1]s ends at %[2]s, after %[3]s opens at %[4]s; give the date hours that keep them apart",
						"%[1]s 结束于 %[2]s，晚于 %[3]s 的开始时间 %[4]s；请为该日期填写互不重叠的时段",
						dateOf(m), over, dateOf(m+1), hours(m + 1)[0].Open)
					break
				}
			}
		}
	}
}

// overlap says whether a day's sorted hours run into the next day's, and until when.
func overlap(hours, next []Interval) (TimeOfDay, bool) {
	if len(hours) == 0 || len(next) == 0 {
		return 0, false
	}
	end := hours[len(hours)-1].Close
	return end, end-midnight > next[0].Open
}
