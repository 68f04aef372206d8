//go:build bench

package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

// The targets.
const (
	leastGRPC  = 0.5  // of the floor's rate
	leastREST  = 0.75 // of gRPC's rate
	mostCreate = 900 * time.Microsecond
	mostGrowth = 1.5 // of the processor time of the short list
)

func (r *result) rate(way int) float64 { return measure.Quantile(r.rates[way], .5) }

// ratio is the median of the rounds' own ratios: both sides of each met the same machine.
func (r *result) ratio(way, to int) float64 {
	each := make([]float64, len(r.rates[way]))
	for i := range each {
		each[i] = r.rates[way][i] / r.rates[to][i]
	}
	return measure.Quantile(each, .5)
}

func (r *result) quantile(way int, q float64) time.Duration {
	return measure.Quantile(r.times[way], q)
}

// perCall is the processor time of a call in the parts that match.
func (r *result) perCall(way int, match func(part string) bool) time.Duration {
	sum := time.Duration(0)
	for part, d := range r.cpu[way] {
		if match(part) {
			sum += d
		}
	}
	return sum / time.Duration(r.calls[way])
}

func (r *result) total(way int) time.Duration {
	return r.perCall(way, func(string) bool { return true })
}

func rateTable(results []*result) string {
	return measure.Table("calls a second|callers|floor|gRPC|REST|gRPC/floor|REST/gRPC", func(row func(...any)) {
		for _, r := range results {
			row(r.operation.name, r.callers, int(r.rate(byFloor)), int(r.rate(byGRPC)), int(r.rate(byREST)),
				fmt.Sprintf("%.2f", r.ratio(byGRPC, byFloor)), fmt.Sprintf("%.2f", r.ratio(byREST, byGRPC)))
		}
	})
}

func latencyTable(results []*result) string {
	return measure.Table("ms a call|callers|floor p50|p99|gRPC p50|p99|REST p50|p99", func(row func(...any)) {
		for _, r := range results {
			cells := []any{r.operation.name, r.callers}
			for way := range wayCount {
				cells = append(cells, measure.Ms(r.quantile(way, .5)), measure.Ms(r.quantile(way, .99)))
			}
			row(cells...)
		}
	})
}

// cpuTable splits a REST call's processor time by who used it.
func cpuTable(results []*result) string {
	return measure.Table("CPU ms a call|callers|floor|gRPC|REST|REST: gateway|service|its database|others", func(row func(...any)) {
		for _, r := range results {
			is := func(parts ...string) func(string) bool {
				return func(part string) bool { return slices.Contains(parts, part) }
			}
			own := []string{"gateway", r.operation.service, "postgres " + r.operation.database}
			row(r.operation.name, r.callers, measure.Ms(r.total(byFloor)), measure.Ms(r.total(byGRPC)), measure.Ms(r.total(byREST)),
				measure.Ms(r.perCall(byREST, is(own[0]))), measure.Ms(r.perCall(byREST, is(own[1]))), measure.Ms(r.perCall(byREST, is(own[2]))),
				measure.Ms(r.perCall(byREST, func(part string) bool { return !slices.Contains(own, part) })))
		}
	})
}

// partTable tells who used the processor time of a REST call that goes on behind its
// answer: positions, the hash chain, and the services that follow the events.
func partTable(results []*result) string {
	var out strings.Builder
	for _, r := range results {
		if !r.operation.writes || r.callers != profiledCallers {
			continue
		}
		out.WriteString(measure.Table("CPU ms a call of "+r.operation.name+" by part|floor|gRPC|REST", func(row func(...any)) {
			for _, part := range slices.Sorted(maps.Keys(r.cpu[byREST])) {
				is := func(p string) bool { return p == part }
				row(part, measure.Ms(r.perCall(byFloor, is)), measure.Ms(r.perCall(byGRPC, is)), measure.Ms(r.perCall(byREST, is)))
			}
		}))
	}
	return out.String()
}

// verdicts holds what was measured against the targets.
func verdicts(results []*result, short *result) string {
	return measure.Table("target|callers|wanted|measured|", func(row func(...any)) {
		say := func(name string, callers int, wanted, measured string, met bool) {
			row(name, callers, wanted, measured, map[bool]string{true: "met", false: "MISSED"}[met])
		}
		for _, r := range results {
			g, e := r.ratio(byGRPC, byFloor), r.ratio(byREST, byGRPC)
			say(r.operation.name+" gRPC/floor", r.callers, fmt.Sprint("≥ ", leastGRPC), fmt.Sprintf("%.2f", g), g >= leastGRPC)
			say(r.operation.name+" REST/gRPC", r.callers, fmt.Sprint("≥ ", leastREST), fmt.Sprintf("%.2f", e), e >= leastREST)
			if r.operation.writes {
				say(r.operation.name+" REST CPU", r.callers, "≤ "+measure.Ms(mostCreate)+" ms", measure.Ms(r.total(byREST))+" ms", r.total(byREST) <= mostCreate)
			}
			if short != nil && r.operation.name == short.operation.name && r.callers == short.callers {
				growth := float64(r.total(byREST)) / float64(short.total(byREST))
				say(r.operation.name+" CPU, long/short", r.callers, fmt.Sprint("≤ ", mostGrowth), fmt.Sprintf("%.2f", growth), growth <= mostGrowth)
			}
		}
	})
}

// memoryTable tells what programs hold before and after the work, in MiB.
func memoryTable(idle, after map[string]int) string {
	return measure.Table("memory, MiB|idle|after the bench", func(row func(...any)) {
		for _, name := range slices.Sorted(maps.Keys(idle)) {
			row(name, idle[name], after[name])
		}
	})
}
