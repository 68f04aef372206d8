//go:build bench

package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

// spent is processor time by part of the suite: a program's name, "postgres <database>"
// for the sessions of a database, "postgres" for the rest of the server.
type spent map[string]time.Duration

// usage reads what the suite has used until now, user and system time of every process.
func (s *stack) usage() (spent, error) {
	out := spent{}
	for name, p := range s.programs {
		_, used, err := measure.Process(p.PID)
		if err != nil {
			return nil, err
		}
		out[name] += used
	}
	sessions, err := measure.Postgres(s.postgres)
	if err != nil {
		return nil, err
	}
	for pid, used := range sessions {
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
