package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc; it is the same on all Linux of today.
const tick = 10 * time.Millisecond

// Process gives a process's parent and the user and system time it has used, in steps of
// ten milliseconds.
func Process(pid int) (parent int, used time.Duration, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The name stands in parentheses and may hold anything.
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("process %d: a short stat", pid)
	}
	numbers := make([]int64, 3)
	for i, at := range []int{1, 11, 12} {
		if numbers[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	return int(numbers[0]), time.Duration(numbers[1]+numbers[2]) * tick, nil
}

// Postgres gives the time that each process of a server has used, by its id. dir is the
// folder that the server was started in by testkit.Durable. Each of them is one thread, so
// the scheduler tells it to the nanosecond.
func Postgres(dir string) (map[int]time.Duration, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	var server int
	if _, err := fmt.Sscan(string(raw), &server); err != nil {
		return nil, fmt.Errorf("process of the server: %w", err)
	}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	out := map[int]time.Duration{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		parent, _, err := Process(pid)
		if err != nil || (parent != server && pid != server) {
			continue // gone meanwhile, or another's
		}
		raw, err := os.ReadFile(entry + "/schedstat")
		if err != nil {
			continue // gone meanwhile
		}
		var ran int64
		if _, err := fmt.Sscan(string(raw), &ran); err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		out[pid] = time.Duration(ran)
	}
	return out, nil
}
