package localpg

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// living returns the processes that work in the data directory. Every process
// of Postgres has it as its working directory, so this also finds backends
// whose postmaster was killed, and is not fooled by a process id used anew.
// Zombies do not count: they hold nothing any more.
func living(data string) ([]int, error) {
	want, err := filepath.EvalSymlinks(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	named, _ := postmaster(data)
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		// One we may not look at counts when it is the one named in the file.
		if cwd == want || (pid == named && errors.Is(err, fs.ErrPermission)) {
			if !zombie(pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	// The state follows the name, which may itself hold parentheses.
	end := bytes.LastIndexByte(stat, ')')
	return end < 0 || end+2 >= len(stat) || stat[end+2] == 'Z' || stat[end+2] == 'X'
}
