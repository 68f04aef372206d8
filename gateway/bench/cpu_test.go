//go:build bench

package bench

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

// spent is processor time by part of the suite: a program's name, "postgres <database>"
// for the sessions of a database, "postgres" for the rest of the server.
type spent map[string]time.Duration

// usage reads what the suite has used until now, user and system time of every process.
func (s *stack) usage() (spent, error) {
	out := spent{}
	for name, p := range s.programs {
		_, used, err := procStat(p.PID)
		if err != nil {
			return nil, err
		}
		out[name] += used
	}
	server, err := s.postmaster()
	if err != nil {
		return nil, err
	}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		parent, used, err := procStat(pid)
		if err != nil || (parent != server && pid != server) {
			continue // gone meanwhile, or another's
		}
		out[session(pid)] += used
	}
	return out, nil
}

// session names the part that a process of the server works for, by its title
// "postgres: role database address …".
func session(pid int) string {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "postgres"
	}
	words := strings.Fields(strings.ReplaceAll(string(title), "\x00", " "))
	for i, w := range words {
		if i+2 < len(words) && w == "postgres:" {
			for _, database := range []string{"customer_registry", "service_ticket", "complaint", "survey"} {
				if words[i+2] == database {
					return "postgres " + database
				}
			}
		}
	}
	return "postgres"
}

// procStat gives a process's parent and the time it has used.
func procStat(pid int) (parent int, used time.Duration, err error) {
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

func (s spent) minus(before spent) spent {
	out := spent{}
	for name, d := range s {
		out[name] = max(0, d-before[name]) // a session that ended takes its time along
	}
	return out
}

func (s spent) add(more spent) {
	for name, d := range more {
		s[name] += d
	}
}

// resident is how much memory each program holds.
func (s *stack) resident() (map[string]int, error) {
	out := map[string]int{}
	for name, p := range s.programs {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(string(raw), "VmRSS:")
		var kib int
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			return nil, fmt.Errorf("memory of %s: %w", name, err)
		}
		out[name] = kib >> 10
	}
	return out, nil
}
