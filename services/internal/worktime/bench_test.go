package worktime_test

import (
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// tenYears is the working time of about ten years in China.
const tenYears = 2500 * 8 * time.Hour

func BenchmarkAddTenYears(b *testing.B) {
	start := time.Date(2026, 2, 13, 9, 50, 0, 0, time.UTC)
	b.Run("kept", func(b *testing.B) {
		c := china(b)
		for b.Loop() {
			mustAdd(b, c, start, tenYears)
		}
	})
	b.Run("first", func(b *testing.B) {
		d, err := worktime.ChinaDefinition()
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			b.StopTimer()
			c := mustNew(b, d)
			b.StartTimer()
			mustAdd(b, c, start, tenYears)
		}
	})
}

func BenchmarkAddWorkingDays(b *testing.B) {
	c := china(b)
	start := time.Date(2026, 2, 13, 9, 50, 0, 0, time.UTC)
	for b.Loop() {
		if _, err := c.AddWorkingDays(start, 3); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompute(b *testing.B) {
	c := china(b)
	start := time.Date(2026, 2, 13, 9, 50, 0, 0, time.UTC)
	for b.Loop() {
		if _, err := c.Compute(start, worktime.Target{WorkingDays: 3}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
