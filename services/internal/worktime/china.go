package worktime

import (
	"embed"
	"fmt"
	"time"
)

// One file a year, as the State Council's General Office announced it.
//
//go:embed china/*.txt
var chinaYears embed.FS

// The built-in calendar of China.
const (
	ChinaID      = "china-standard"
	ChinaVersion = "2026.1"
)

// ChinaDefinition gives the built-in calendar of China as data: Monday to Friday from 09:00
// to 12:00 and from 13:00 to 18:00 in Asia/Shanghai, with the statutory holidays and make-up
// workdays of 2004 to 2026. The error is that of a damaged program.
func ChinaDefinition() (Definition, error) {
	d := Definition{ID: ChinaID, Version: ChinaVersion, TimeZone: "Asia/Shanghai"}
	for w := time.Monday; w <= time.Friday; w++ {
		d.Week = append(d.Week, Hours{w, 9 * 60, 12 * 60}, Hours{w, 13 * 60, 18 * 60})
	}
	files, err := chinaYears.ReadDir("china")
	if err != nil {
		return Definition{}, fmt.Errorf("list the years of China: %w", err)
	}
	for _, file := range files {
		text, err := chinaYears.ReadFile("china/" + file.Name())
		if err != nil {
			return Definition{}, fmt.Errorf("read a year of China: %w", err)
		}
		year, err := ParseYear(string(text))
		if err != nil {
			return Definition{}, fmt.Errorf("%s: %w", file.Name(), err)
		}
		d.Years = append(d.Years, year)
	}
	return d, nil
}

// China makes the built-in calendar of China.
func China() (*Calendar, error) {
	d, err := ChinaDefinition()
	if err != nil {
		return nil, err
	}
	return New(d)
}
