//go:build !linux

package stack

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttr puts a child into a group of its own, out of the reach of Ctrl-C. What
// outlives a killed stack is ended by the next start.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// identity is what tells a process from a later one of the same id: when it began and
// what it runs. It is empty when there is no such process.
func identity(pid int) string {
	out, err := exec.Command("ps", "-o", "lstart=,comm=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
