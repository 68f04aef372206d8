package worktime

import "time"

// DayAndNightID names the calendar in which every hour of every day counts.
const DayAndNightID = "day-and-night"

// DayAndNightDefinition gives the calendar in which every hour of every day counts, on the
// dates of China.
func DayAndNightDefinition() Definition {
	d := Definition{ID: DayAndNightID, Version: "1", TimeZone: "Asia/Shanghai"}
	for day := time.Sunday; day <= time.Saturday; day++ {
		d.Week = append(d.Week, Hours{Weekday: day, Open: 0, Close: midnight})
	}
	return d
}
