package localpg

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const unprivileged = 65534

// identity is as whom the server runs: as ourselves when the zero value.
type identity struct {
	namespace  bool
	credential *syscall.Credential
}

// attr makes a child of its own process group, or its own session when it is
// to outlive us. Otherwise it is interrupted when the starting thread ends.
func (id identity) attr(outlive bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Credential: id.credential}
	if outlive {
		a.Setsid = true
	} else {
		a.Setpgid = true
		a.Pdeathsig = syscall.SIGINT
	}
	if id.namespace {
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: unprivileged, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: unprivileged, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// identify decides as whom to run and makes dir that user's.
func identify(ctx context.Context, b binaries, dir string) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{}, nil
	}
	id := identity{namespace: true}
	if id.runs(ctx, b, dir) == nil {
		return id, nil
	}
	return demote(ctx, b, dir)
}

func (id identity) runs(ctx context.Context, b binaries, dir string) error {
	cmd := exec.CommandContext(ctx, b.path("postgres"), "--version")
	cmd.Dir, cmd.SysProcAttr = dir, id.attr(false)
	return cmd.Run()
}

// demote gives dir to the user postgres or nobody.
func demote(ctx context.Context, b binaries, dir string) (identity, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return identity{}, fmt.Errorf("started by root, and there is neither a user namespace nor a user postgres or nobody: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(uid), int(gid))
	})
	if err != nil {
		return identity{}, fmt.Errorf("give %s to the user %s: %w", dir, u.Username, err)
	}
	id := identity{credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := id.runs(ctx, b, dir); err != nil {
		if parent, closed := closedParent(dir); closed {
			return identity{}, fmt.Errorf("the user %s, as whom Postgres runs, may not search %s: open it with chmod o+x or choose another folder", u.Username, parent)
		}
		return identity{}, fmt.Errorf("run Postgres as the user %s: %w", u.Username, err)
	}
	return id, nil
}

// closedParent is the topmost folder above dir that others cannot search.
func closedParent(dir string) (string, bool) {
	closed, found := "", false
	for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
		if info, err := os.Stat(p); err == nil && info.Mode()&0o001 == 0 {
			closed, found = p, true
		}
		if p == filepath.Dir(p) {
			return closed, found
		}
	}
}
