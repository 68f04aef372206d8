package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// prepare chooses binaries and identity and makes the cluster if there is
// none. The caller holds the lock.
func (d dir) prepare(ctx context.Context, o Options) (binaries, identity, error) {
	b, err := choose(ctx, o.Path, d.data(), o.log())
	if err != nil {
		return binaries{}, identity{}, err
	}
	if err := d.makePassword(); err != nil {
		return binaries{}, identity{}, fmt.Errorf("password: %w", err)
	}
	id, err := identify(ctx, b, string(d))
	if err != nil {
		return binaries{}, identity{}, err
	}
	return b, id, d.initialise(ctx, b, id, o)
}

// initialise makes the cluster beside its final place, so an interrupted
// attempt is never taken for a cluster.
func (d dir) initialise(ctx context.Context, b binaries, id identity, o Options) error {
	_, err := os.Stat(filepath.Join(d.data(), "PG_VERSION"))
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	o.log().InfoContext(ctx, "making a private Postgres", "version", b.major, "dir", string(d))
	unfinished := d.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("clear an unfinished data directory: %w", err)
	}
	// C.UTF-8, because trigram search finds no Chinese under plain C.
	cmd := exec.CommandContext(ctx, b.path("initdb"), "-D", unfinished, "-U", superuser,
		"--locale=C.UTF-8", "-E", "UTF8", "--no-sync", "--auth=scram-sha-256", "--pwfile="+d.password())
	cmd.Dir, cmd.SysProcAttr = string(d), id.attr(false)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(out))
	}
	if err := os.Rename(unfinished, d.data()); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}
