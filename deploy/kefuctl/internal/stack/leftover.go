package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// A killed child is gone within goneWait, or something is badly wrong.
const (
	goneWait = 10 * time.Second
	gonePoll = 20 * time.Millisecond
)

// recorded is one running child, as written down.
type recorded struct {
	Program  string `json:"program"`
	PID      int    `json:"pid"`
	Identity string `json:"identity"`
}

// children is the record of what runs, so that a start after a kill finds what was
// left. It is written before anything depends on the child.
type children struct {
	path string

	mu  sync.Mutex
	all map[string]recorded
}

func newChildren(path string) *children { return &children{path: path, all: map[string]recorded{}} }

func (c *children) add(program string, pid int) error {
	return c.change(func() { c.all[program] = recorded{Program: program, PID: pid, Identity: identity(pid)} })
}

func (c *children) remove(program string) error {
	return c.change(func() { delete(c.all, program) })
}

func (c *children) change(do func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	list := make([]recorded, 0, len(c.all))
	for _, r := range c.all {
		list = append(list, r)
	}
	content, err := json.Marshal(list)
	if err == nil {
		err = writeFile(c.path, content)
	}
	if err != nil {
		return fmt.Errorf("record of running programs: %w", err)
	}
	return nil
}

// endLeftovers kills what an earlier run left running and returns what that was. A
// process that only bears the same id is left alone.
func endLeftovers(path string) ([]recorded, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("record of running programs: %w", err)
	}
	var all, ended []recorded
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("record of running programs %s: %w", path, err)
	}
	for _, r := range all {
		if r.PID <= 1 || r.Identity == "" || identity(r.PID) != r.Identity {
			continue
		}
		if err := syscall.Kill(-r.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("%s of an earlier run (process %d) cannot be ended: %w", r.Program, r.PID, err)
		}
		if !gone(r) {
			return nil, fmt.Errorf("%s of an earlier run (process %d) does not end", r.Program, r.PID)
		}
		ended = append(ended, r)
	}
	return ended, os.Remove(path)
}

func gone(r recorded) bool {
	for deadline := time.Now().Add(goneWait); time.Now().Before(deadline); time.Sleep(gonePoll) {
		if identity(r.PID) != r.Identity {
			return true
		}
	}
	return false
}
