package localpg

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// defaultIdle is longer than the usual gap between two test binaries and short
// enough not to linger.
const defaultIdle = 20 * time.Second

//go:embed keeper.sh
var keeper string

// Share returns the server of o.Dir that any number of processes use at once,
// starting it when it does not run. It serves this process until the process
// ends; there is nothing to stop. When the last user has been gone for o.Idle
// the server ends itself; users that are killed count as gone. It fails as
// [Start] does.
func Share(ctx context.Context, o Options) (*Server, error) {
	if o.AdminURL != "" {
		return external(ctx, o)
	}
	d, err := openDir(o.Dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, errors.New("the shared Postgres was not ready within a minute"))
	defer cancel()
	lock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	// Before looking whether the server is open: the keeper closes it before
	// looking for users, so at least one of the two sees the other.
	if err := os.WriteFile(filepath.Join(d.users(), strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return nil, fmt.Errorf("register as a user: %w", err)
	}
	if admin, ok := d.join(ctx); ok {
		return &Server{dir: d, admin: admin}, nil
	}
	admin, err := d.host(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Server{dir: d, admin: admin}, nil
}

// join returns the running server. One that is closed but alive is either
// ending or about to open again, so that is waited for.
func (d dir) join(ctx context.Context) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	for {
		if _, err := os.Stat(d.open()); err == nil {
			if admin, err := d.adminURL(); err == nil && ping(ctx, admin) == nil {
				return admin, true
			}
		}
		if pids, err := living(d.data()); err != nil || len(pids) == 0 {
			return "", false
		}
		if pause(ctx, poll) != nil {
			return "", false
		}
	}
}

// host starts the server under its keeper, in a session of its own.
func (d dir) host(ctx context.Context, o Options) (string, error) {
	if err := os.Remove(d.open()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("shared Postgres: %w", err)
	}
	b, id, err := d.prepare(ctx, o)
	if err != nil {
		return "", err
	}
	for {
		if err := d.settle(ctx); err != nil {
			return "", err
		}
		admin, err := d.keep(ctx, b, id, o)
		if err == nil {
			o.log().InfoContext(ctx, "shared Postgres is up", "version", b.major, "binaries", b.dir, "dir", string(d))
			return admin, nil
		}
		if !d.retriable(err) || pause(ctx, 200*time.Millisecond) != nil {
			return "", err
		}
	}
}

func (d dir) keep(ctx context.Context, b binaries, id identity, o Options) (string, error) {
	args, err := d.arguments(o)
	if err != nil {
		return "", err
	}
	idle := o.Idle
	if idle <= 0 {
		idle = defaultIdle
	}
	seconds := int((idle + time.Second - 1) / time.Second)
	script := []string{"-c", keeper, "keeper", string(d), strconv.Itoa(seconds), b.path("postgres")}
	cmd, err := d.command(id.attr(true), "/bin/sh", append(script, args...)...)
	if err != nil {
		return "", err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // usually it outlives us
		close(done)
	}()
	admin, err := d.ready(ctx, done)
	if err != nil {
		return "", err
	}
	return admin, writeFile(d.open(), "")
}
