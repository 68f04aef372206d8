//go:build !linux

package localpg

import (
	"context"
	"errors"
	"os"
	"syscall"
)

type identity struct{}

func (identity) attr(outlive bool) *syscall.SysProcAttr {
	if outlive {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

func identify(context.Context, binaries, string) (identity, error) {
	if os.Geteuid() == 0 {
		return identity{}, errors.New("Postgres does not run as root: start this as an ordinary user")
	}
	return identity{}, nil
}

// living knows only the postmaster here: there is no /proc to find others in.
func living(data string) ([]int, error) {
	pid, ok := postmaster(data)
	if !ok {
		return nil, nil
	}
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return nil, nil
	}
	return []int{pid}, nil
}
