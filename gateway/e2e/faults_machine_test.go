//go:build faults

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// othersLimit is the share of the machine in others' hands from which on it, and not the
// suite, is what makes calls late. On two cores of which others used four fifths, callers
// were seen to wait two seconds for the edge to take their call.
const othersLimit = 0.25

// usage is processor time in ticks since the machine's start: of all there is, of what was
// used, and of what this test and the programs that it started used.
type usage struct {
	at               time.Time
	total, busy, own int64
}

// used reads the kernel's accounting; ok is false where there is none.
func used() (u usage, ok bool) {
	u.at = time.Now()
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, false
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	for i, field := range strings.Fields(line)[1:9] { // guests are counted as users already
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, false
		}
		u.total += n
		if i != 3 && i != 4 { // idle, waiting for a disk
			u.busy += n
		}
	}
	u.own = tree(os.Getpid())
	return u, true
}

// tree is the processor time of a process and its descendants, also of those that ended.
func tree(root int) (ticks int64) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	children, own := map[int][]int{}, map[int]int64{}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name may hold anything, so fields are counted from its end.
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || len(fields) < 15 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
		for _, field := range fields[11:15] { // user, system, and both of ended children
			n, _ := strconv.ParseInt(field, 10, 64)
			own[pid] += n
		}
	}
	for open := []int{root}; len(open) > 0; {
		pid := open[0]
		ticks += own[pid]
		open = append(open[1:], children[pid]...)
	}
	return ticks
}

// others is the share of the machine that others used in a span of time.
func (p *pulse) others(from, to time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := slices.IndexFunc(p.usages, func(u usage) bool { return u.at.After(from) }) - 1
	last := slices.IndexFunc(p.usages, func(u usage) bool { return u.at.After(to) })
	if last < 0 {
		last = len(p.usages) - 1
	}
	if first = max(first, 0); first >= last {
		return 0
	}
	a, b := p.usages[first], p.usages[last]
	return float64(b.busy-a.busy-(b.own-a.own)) / float64(max(b.total-a.total, 1))
}

// busy tells why a span of time proves nothing, or nothing.
func (p *pulse) busy(from, to time.Time) string {
	if late := p.worst(from, to); late >= pulseLimit {
		return "a bare commit was " + late.Round(time.Millisecond).String() + " late"
	}
	if others := p.others(from, to); others >= othersLimit {
		return "others used " + strconv.Itoa(int(100*others)) + " % of the machine"
	}
	return ""
}
