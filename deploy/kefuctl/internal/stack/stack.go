// Package stack runs the whole suite on one machine, for development and for tests: a
// private Postgres, an embedded etcd, a local certificate authority, a development
// issuer, and every service and the gateway as processes of their own.
//
// Everything a stack keeps lies in one folder that only its owner can read. What a
// killed run left behind never hinders the next: the lock is the kernel's, children die
// with their parent where the system can do that and are otherwise found by their
// record, and Postgres and etcd recover by themselves.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kefu-suite/kefu/runtime/localpg"
)

// Options say what is brought up and where.
type Options struct {
	// Dir is the stack's folder, made if missing.
	Dir string
	// HTTP is the address of REST; port 0 takes a free one.
	HTTP string
	// Replicas is how many of each service run, 1 or more.
	Replicas int
	// FreePorts leaves every port to the system, so that stacks can run side by side.
	FreePorts bool
	// TestClock is the file of the clock that all services go by; empty means the
	// machine's.
	TestClock string
	// Bin is the folder of the built programs.
	Bin string
	// Environ is the environment, as os.Environ gives it: what is set for the programs
	// (limits, log level) reaches them, KEFU_DATABASE_URL names a Postgres to use and
	// KEFU_ETCD_ENDPOINTS an etcd.
	Environ []string
	// Out is told what happens.
	Out io.Writer
}

// up is one running stack.
type up struct {
	opts     Options
	dir      Dir
	launcher launcher
	children *children
	secrets  *secrets
	pg       *localpg.Server
	etcd     *registry
	issuer   *issuer

	mu        sync.Mutex
	admin     string // URL of the Postgres, which may move when it is started again
	programs  []*program
	readyTime time.Time
}

// Run brings the stack up, says when it is ready, and takes it down in good order when
// ctx ends. It fails when something cannot be brought up or when etcd ends by itself;
// nothing is left running then.
func Run(ctx context.Context, o Options) (err error) {
	began := time.Now()
	dir, err := openDir(o.Dir)
	if err != nil {
		return err
	}
	lock, err := dir.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	u := &up{opts: o, dir: dir, launcher: newLauncher(), children: newChildren(dir.childrenFile())}
	defer func() { err = errors.Join(err, u.down()) }()
	if err := u.rise(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it was up
		}
		return err
	}
	u.mu.Lock()
	u.readyTime = time.Now()
	u.mu.Unlock()
	if err := u.publish(); err != nil {
		return err
	}
	u.greet(time.Since(began))
	return u.watch(ctx)
}

// rise brings everything up, in the order of need.
func (u *up) rise(ctx context.Context) error {
	if err := u.clear(); err != nil {
		return err
	}
	if err := u.plan(); err != nil {
		return err
	}
	var err error
	if u.secrets, err = openSecrets(u.dir); err != nil {
		return err
	}
	if u.issuer, err = u.startIssuer(); err != nil {
		return err
	}
	base, cancel := errgroup.WithContext(ctx)
	base.Go(func() error { return u.startPostgres(cancel) })
	base.Go(func() (err error) {
		u.etcd, err = u.startEtcd(cancel)
		return err
	})
	if err := base.Wait(); err != nil {
		return err
	}
	if err := u.prepareDatabases(ctx); err != nil {
		return err
	}
	u.say("databases are up to date; starting %d programs", len(u.programs))
	return u.startPrograms(ctx)
}

// clear takes away what an earlier run left.
func (u *up) clear() error {
	ended, err := endLeftovers(u.dir.childrenFile())
	for _, r := range ended {
		u.say("ended %s (process %d), left over from a run that was killed", r.Program, r.PID)
	}
	return errors.Join(err, u.unpublish())
}

// startPostgres runs on the launcher's thread, with which the server lives.
func (u *up) startPostgres(ctx context.Context) (err error) {
	var server *localpg.Server
	u.launcher.do(func() {
		server, err = localpg.Start(ctx, localpg.Options{
			Dir: u.dir.in("postgres"), AdminURL: u.env("KEFU_DATABASE_URL"), Path: u.env("PATH"),
			Log: slog.New(sayer{u}),
		})
	})
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pg, u.admin = server, server.AdminURL()
	return nil
}

// adminURL is where the Postgres is now.
func (u *up) adminURL() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.admin
}

// startPrograms starts the services and, when they are ready, the gateway.
func (u *up) startPrograms(ctx context.Context) error {
	for _, edge := range []bool{false, true} {
		var ready errgroup.Group
		for _, p := range u.programs {
			if p.edge == edge {
				p.supervise()
				ready.Go(func() error { return p.await(ctx) })
			}
		}
		if err := ready.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// watch keeps what is not a supervised program alive until ctx ends.
func (u *up) watch(ctx context.Context) error {
	renew := time.NewTicker(24 * time.Hour)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-u.etcd.err():
			return fmt.Errorf("etcd ended: %w", err)
		case <-u.pg.Done():
			u.say("Postgres ended; starting it again (log: %s)", u.dir.in("postgres", "log"))
			if err := errors.Join(u.pg.Stop(ctx), u.startPostgres(ctx)); err != nil && ctx.Err() == nil {
				return err
			}
		case <-renew.C:
			if _, err := u.certificates(); err != nil {
				u.say("certificates could not be renewed, trying again in a day: %v", err)
			}
		}
	}
}

// down stops whatever is up: first what takes calls, last what holds the data.
func (u *up) down() error {
	if u.issuer == nil {
		return nil // nothing came up
	}
	began := time.Now()
	u.say("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	problems := []error{u.unpublish()}
	for _, edge := range []bool{true, false} {
		var stopped sync.WaitGroup
		for _, p := range u.programs {
			if p.edge == edge && p.cancel != nil {
				stopped.Go(p.stop)
			}
		}
		stopped.Wait()
	}
	problems = append(problems, u.issuer.stop(ctx))
	if u.etcd != nil {
		u.etcd.stop()
	}
	if u.pg != nil {
		problems = append(problems, u.pg.Stop(ctx))
	}
	u.say("stopped in %s", time.Since(began).Round(10*time.Millisecond))
	return errors.Join(problems...)
}

// env is a variable of the environment.
func (u *up) env(name string) string {
	for _, pair := range u.opts.Environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// say tells the operator, a line at a time.
func (u *up) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	u.mu.Lock()
	defer u.mu.Unlock()
	_, _ = fmt.Fprintln(u.opts.Out, line) // nobody left to tell
}

// sayer lets what logs say its lines too.
type sayer struct{ up *up }

func (s sayer) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (s sayer) WithAttrs([]slog.Attr) slog.Handler               { return s }
func (s sayer) WithGroup(string) slog.Handler                    { return s }

func (s sayer) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(", %s %v", a.Key, a.Value)
		return true
	})
	s.up.say("%s", line)
	return nil
}

// missing tells which of the programs are not built.
func missing(paths []string) error {
	var names []string
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			names = append(names, path)
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("not built: %s; run `make build`", strings.Join(names, ", "))
	}
	return nil
}
