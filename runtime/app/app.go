// Package app is one process's life: configuration, migrations, serving, stopping.
//
// Main starts a service in this order: settings (all problems in one message, unsafe
// production settings refused) → operators' HTTP → database → what the service
// registers → access rules → listener → background work → etcd. It stops in the
// opposite order when a signal comes: readiness off, leave etcd, wait one round of
// the clients' watches, finish the calls in flight, end background work, close. A
// second signal kills.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/pg"
)

// Spec describes a service. C is its configuration, a struct that embeds Config.
type Spec[C any] struct {
	// Name is the service's name in etcd, certificates, events and logs.
	Name string
	// Migrations are the service's own; those of the runtime come before them.
	Migrations []pg.MigrationSet
	Policy     authz.Policy
	// Run registers the service on p.GRPC and its background work by p.Go, and
	// returns. ctx lives as long as the process.
	Run func(ctx context.Context, p *Process, cfg C) error
}

// settings is a configuration struct that embeds Config.
type settings[C any] interface {
	*C
	base() *Config
}

// Main runs the service until a signal. Subcommands: `migrate` brings its database up to
// date, `parked` lists the events that it could not apply, `redrive SOURCE` makes those of
// a source due at once, `keys status`, `keys rotate` and `keys retire` are about the master
// key. It gives the exit code: 0 after an ordered end.
func Main[C any, P settings[C]](spec Spec[C]) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// Before anything stops the default applies again: a second signal kills.
		signal.Stop(signals)
		cancel()
	}()
	err := command[C, P](ctx, spec, os.Args[1:], os.Stderr)
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", spec.Name, err) // nowhere else to tell
		return 1
	}
	return 0
}

func command[C any, P settings[C]](ctx context.Context, spec Spec[C], args []string, out io.Writer) error {
	switch {
	case len(args) == 0:
		return serve[C, P](ctx, spec, out)
	case len(args) == 1 && args[0] == "migrate":
		return migrate(ctx, spec.Name, spec.Migrations, out)
	case len(args) == 1 && args[0] == "parked":
		return parked(ctx, "", os.Stdout)
	case len(args) == 2 && args[0] == "redrive":
		return parked(ctx, args[1], os.Stdout)
	case len(args) == 2 && args[0] == "keys" && (args[1] == keysStatus || args[1] == keysRotate || args[1] == keysRetire):
		return keys(ctx, args[1], os.Stdout)
	case len(args) == 2 && args[0] == "audit" && args[1] == "verify":
		return verifyAudit(ctx, spec.Name, os.Stdout)
	}
	return fmt.Errorf("unknown arguments %q; call it without any to serve, or with `migrate`, `parked`, `redrive SOURCE`, "+
		"`keys status`, `keys rotate`, `keys retire` or `audit verify`", args)
}

// migrate brings the database up to date as its owner.
func migrate(ctx context.Context, name string, own []pg.MigrationSet, out io.Writer) error {
	var cfg struct {
		OwnerURL string `env:"KEFU_OWNER_DATABASE_URL,required,notEmpty"`
	}
	if err := config.Load(&cfg); err != nil {
		return err
	}
	if err := pg.Migrate(ctx, cfg.OwnerURL, append(Migrations(), own...)...); err != nil {
		return err
	}
	NewLogger(out, name, 0).Info("the database is up to date")
	return nil
}

func serve[C any, P settings[C]](ctx context.Context, spec Spec[C], out io.Writer) (err error) {
	var own C
	if err := config.Load(&own); err != nil {
		return err
	}
	l := newLife(spec.Name, P(&own).base(), out)
	slog.SetDefault(l.log) // for packages below that are given no logger
	TuneGC()
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.begin(ctx, spec.Policy); err != nil {
		if ctx.Err() != nil {
			l.log.Info("stopped before it served")
			return nil
		}
		return err
	}
	if err := spec.Run(l.process.tasks.ctx, l.process, own); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	if err := l.serve(); err != nil {
		return err
	}
	var failed error
	select {
	case <-ctx.Done():
		l.log.Info("stopping")
	case failed = <-l.process.tasks.failed:
		l.log.Error("stopping, because something it needs ended", "error", failed)
	}
	return errors.Join(failed, l.stop())
}
