package stack

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttr puts a child into a group of its own, out of the reach of Ctrl-C, and has
// the kernel kill it when the thread that started it ends.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// identity is what tells a process from a later one of the same id: when it began, in
// ticks since boot, and what it runs. It is empty when there is no such process, or
// only its corpse.
func identity(pid int) string {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return ""
	}
	// The name may hold blanks and parentheses; what follows it does not. Then come
	// the state and, nineteen fields on, the start.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return ""
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	exe, err := os.Readlink(filepath.Join(proc, "exe"))
	if err != nil && !errors.Is(err, os.ErrPermission) {
		return ""
	}
	// A program that was built anew in the meantime is still the one we started.
	return fields[19] + " " + strings.TrimSuffix(exe, " (deleted)")
}
