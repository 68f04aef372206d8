//go:build faults

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	excerptCalls = 5
	excerptLines = 12 // of the logs, for one attempt
)

// involved are the calls that the violations name, by their key or the thing's path.
func (h *history) involved() (found []*call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		_, id, _ := strings.Cut(strings.TrimPrefix(c.path, "/v1/"), "/")
		id, _, _ = strings.Cut(id, ":")
		if slices.ContainsFunc(h.wrong, func(w string) bool {
			return c.key != "" && strings.Contains(w, c.key) || id != "" && strings.Contains(w, id)
		}) {
			found = append(found, c)
		}
	}
	return found
}

// excerpt prints what explains the calls: second by second how the load went and how late
// a bare commit was, what happened beside the calls, and for some calls each attempt with
// what the programs logged of it. Times are seconds from struck or else from the load's
// beginning.
func (g *ground) excerpt(t testing.TB, h *history, p *pulse, calls []*call, struck time.Time) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if struck.IsZero() {
		struck = h.calls[0].attempts[0].start
	}
	var b strings.Builder
	h.seconds(&b, p, struck)
	for _, m := range h.marks {
		_, _ = fmt.Fprintf(&b, "%+9.3f  %s\n", m.at.Sub(struck).Seconds(), m.text)
	}
	var ids []string
	for _, c := range calls[:min(len(calls), excerptCalls)] {
		for _, a := range c.attempts {
			ids = append(ids, a.id)
		}
	}
	logs := g.logged(ids)
	for _, c := range calls[:min(len(calls), excerptCalls)] {
		_, _ = fmt.Fprintf(&b, "%s of %s\n", c, c.service)
		for _, a := range c.attempts {
			_, _ = fmt.Fprintf(&b, "%+9.3f to %+.3f  %s (%s)\n", a.start.Sub(struck).Seconds(), a.end.Sub(struck).Seconds(), a, a.id)
			for _, line := range logs[a.id] {
				_, _ = fmt.Fprintf(&b, "            %s\n", line)
			}
		}
	}
	if n := len(calls) - excerptCalls; n > 0 {
		_, _ = fmt.Fprintf(&b, "and %d more calls\n", n)
	}
	t.Logf("what happened, in seconds:\n%s", &b)
}

// seconds prints one line for each second around the fault; h is locked.
func (h *history) seconds(b *strings.Builder, p *pulse, struck time.Time) {
	const before, behind = 3, 20
	took := make([][]time.Duration, before+behind)
	failed := make([]int, before+behind)
	for _, c := range h.calls {
		for _, a := range c.attempts {
			i := int((a.end.Sub(struck) + before*time.Second) / time.Second)
			if a.end.Before(struck.Add(-before*time.Second)) || i >= len(took) {
				continue
			}
			took[i] = append(took[i], a.end.Sub(a.start))
			if !a.ok() {
				failed[i]++
			}
		}
	}
	_, _ = fmt.Fprintln(b, "   second  ended  failed  median  longest  a bare commit was late")
	for i, all := range took {
		if len(all) == 0 {
			continue
		}
		slices.Sort(all)
		at := struck.Add(time.Duration(i-before) * time.Second)
		_, _ = fmt.Fprintf(b, "%+9d %6d %7d %6dms %6dms %6dms\n", i-before, len(all), failed[i],
			all[len(all)/2].Milliseconds(), all[len(all)-1].Milliseconds(), p.worst(at, at.Add(time.Second)).Milliseconds())
	}
}

// logged are the lines of all programs that name a request id, by id.
func (g *ground) logged(ids []string) map[string][]string {
	out := map[string][]string{}
	st, err := g.s.state()
	if err != nil {
		return out
	}
	for _, p := range st.Programs {
		f, err := os.Open(p.Log)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			for _, id := range ids {
				if strings.Contains(lines.Text(), id+`"`) && len(out[id]) < excerptLines {
					out[id] = append(out[id], fmt.Sprintf("%s-%d: %s", p.Name, p.Replica, lines.Text()))
				}
			}
		}
		_ = f.Close() // only read
	}
	return out
}
