// Package measure is what benches of the suite share: callers that call again and again for
// a while, processor time from the kernel's accounting, and tables as docs/performance.md
// has them.
package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Drive lets every caller call again and again for a while, and gives the time of each call
// and how long all of it took. A caller ends with its first error.
func Drive(ctx context.Context, calls []func(context.Context) error, slice time.Duration) ([]time.Duration, time.Duration, error) {
	times, failed := make([][]time.Duration, len(calls)), make([]error, len(calls))
	var group sync.WaitGroup
	began := time.Now()
	for n, call := range calls {
		group.Go(func() {
			for from := began; from.Sub(began) < slice; {
				if failed[n] = call(ctx); failed[n] != nil {
					return
				}
				now := time.Now()
				times[n] = append(times[n], now.Sub(from))
				from = now
			}
		})
	}
	group.Wait()
	return slices.Concat(times...), time.Since(began), errors.Join(failed...)
}

// Quantile is the value below which the part q of the values lies; .5 gives the median. It
// panics where there are no values.
func Quantile[T cmp.Ordered](of []T, q float64) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// Table writes a markdown table of a head whose columns stand between bars: names to the
// left, numbers to the right.
func Table(head string, fill func(row func(cells ...any))) string {
	var out strings.Builder
	columns := strings.Split(head, "|")
	fmt.Fprintf(&out, "\n| %s |\n| --- |%s\n", strings.Join(columns, " | "), strings.Repeat(" --: |", len(columns)-1))
	fill(func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(&out, "| %v ", c)
		}
		out.WriteString("|\n")
	})
	return out.String()
}

// Ms is a duration as tables have it.
func Ms(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000) }
