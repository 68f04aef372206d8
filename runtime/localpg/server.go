package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	lockWait  = 15 * time.Second
	startWait = 60 * time.Second
	stopWait  = 10 * time.Second
	logMax    = 16 << 20
)

// Options says where the server lives and what it is for.
type Options struct {
	// Dir is the server's own folder, made if missing.
	Dir string
	// AdminURL, when set, names a running server to use instead: the value of
	// KEFU_DATABASE_URL, which only main and the test kit read.
	AdminURL string
	// Path is where to look for binaries first, as PATH writes it.
	Path string
	// Log is told what was chosen. Nil discards.
	Log *slog.Logger
	// Volatile gives durability up for speed (no fsync, no synchronous
	// commit): for tests only, a power failure may destroy the data.
	Volatile bool
	// Idle is how long a shared server outlives its last user, in whole
	// seconds; twenty when zero.
	Idle time.Duration
	// Settings are further server settings, "name=value", which win.
	Settings []string
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// Server is a server that this process may use.
type Server struct {
	admin string
	dir   dir
	cmd   *exec.Cmd
	lock  *os.File
	done  chan struct{}
}

// Start returns a server that accepts connections, after the order of the
// package comment. A private one is initialised on first use; what a killed
// run left behind is waited for, stopped or cleared away. It fails when the
// folder is in use by another live process, when no Postgres can be had
// ([ErrNoPostgres]), or when the server is not ready within a minute or before
// ctx ends; then nothing is left running. Read the package comment on the
// calling thread.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.AdminURL != "" {
		return external(ctx, o)
	}
	d, err := openDir(o.Dir)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock, err := d.lock(waiting)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: d, lock: lock}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// AdminURL is the URL of a role that may create roles and databases. It holds
// the password.
func (s *Server) AdminURL() string { return s.admin }

// Done is closed when the server has ended for whatever reason. It is nil, and
// so never ready, for a server that was not started here.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server by a fast shutdown, which ends its sessions. After ten
// seconds, or when ctx ends, it is made to quit without a checkpoint, and then
// killed: data that was committed survives each. It returns when the server is
// gone, does nothing to a server that was not started here, and may be called
// again.
func (s *Server) Stop(ctx context.Context) error {
	if s.cmd == nil {
		return nil
	}
	defer func() { _ = s.lock.Close() }()
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, stopWait}, {syscall.SIGQUIT, stopWait / 2}} {
		select {
		case <-s.done:
			return nil
		default:
			_ = s.cmd.Process.Signal(step.signal) // gone already is what we want
		}
		if s.ended(ctx, step.wait) {
			return nil
		}
		ctx = context.WithoutCancel(ctx)
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	return fmt.Errorf("postgres in %s did not stop and was killed", s.dir)
}

func (s *Server) ended(ctx context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-s.done:
		return true
	case <-ctx.Done():
		return false
	}
}

func external(ctx context.Context, o Options) (*Server, error) {
	if err := ping(ctx, o.AdminURL); err != nil {
		return nil, fmt.Errorf("the server of KEFU_DATABASE_URL does not answer (start it, or unset the variable to get a private one): %w", err)
	}
	o.log().InfoContext(ctx, "using the Postgres of KEFU_DATABASE_URL")
	return &Server{admin: o.AdminURL}, nil
}

func (s *Server) start(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, errors.New("postgres was not ready within a minute"))
	defer cancel()
	b, id, err := s.dir.prepare(ctx, o)
	if err != nil {
		return err
	}
	for {
		if err := s.dir.settle(ctx); err != nil {
			return err
		}
		err := s.launch(ctx, b, id, o)
		if err == nil {
			break
		}
		if !s.dir.retriable(err) || pause(ctx, 200*time.Millisecond) != nil {
			return err
		}
	}
	o.log().InfoContext(ctx, "private Postgres is up", "version", b.major, "binaries", b.dir, "dir", string(s.dir))
	return nil
}

// launch starts the server once and waits until it answers or ends.
func (s *Server) launch(ctx context.Context, b binaries, id identity, o Options) error {
	args, err := s.dir.arguments(o)
	if err != nil {
		return err
	}
	cmd, err := s.dir.command(id.attr(false), b.path("postgres"), args...)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the log says why it ended
		close(done)
	}()
	s.cmd, s.done = cmd, done
	if s.admin, err = s.dir.ready(ctx, done); err != nil {
		select {
		case <-done:
		default:
			_ = cmd.Process.Signal(syscall.SIGQUIT)
			<-done
		}
		return err
	}
	return nil
}

// command starts a program whose output goes to the log.
func (d dir) command(attr *syscall.SysProcAttr, name string, args ...string) (*exec.Cmd, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(d.log()); err == nil && info.Size() > logMax {
		flags |= os.O_TRUNC
	}
	log, err := os.OpenFile(d.log(), flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = string(d), log, log, attr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(name), err)
	}
	return cmd, nil
}

func (d dir) arguments(o Options) ([]string, error) {
	args, err := d.listen()
	if err != nil {
		return nil, err
	}
	args = append(args, "-D", d.data())
	settings := []string{
		"max_connections=300", "shared_buffers=128MB", "timezone=UTC", "log_timezone=UTC",
		// With more, a commit that does not wait for the disk wakes the writer of the log each time, for
		// up to 200 ms, to no end (until Postgres 17).
		"wal_writer_flush_after=8kB",
		// Neither rows nor statements belong in a log.
		"log_error_verbosity=terse", "log_min_error_statement=panic",
	}
	if o.Volatile {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	for _, s := range append(settings, o.Settings...) {
		args = append(args, "-c", s)
	}
	return args, nil
}

// ready waits until the server answers and returns its admin URL.
func (d dir) ready(ctx context.Context, done <-chan struct{}) (string, error) {
	admin, err := d.adminURL()
	if err != nil {
		return "", err
	}
	// Whoever took our port may never answer: the end of the server ends the
	// question too.
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-asking.Done():
		}
	}()
	for {
		if err = ping(asking, admin); err == nil {
			return admin, nil
		}
		select {
		case <-done:
			return "", fmt.Errorf("postgres ended: %s (log: %s)", d.complaint(), d.log())
		default:
		}
		if cause := pause(ctx, poll); cause != nil {
			return "", fmt.Errorf("%w: %w (log: %s)", cause, err, d.log())
		}
	}
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}

// complaint is the last FATAL line of the log.
func (d dir) complaint() string {
	text, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	if i := strings.LastIndex(string(text), "FATAL:"); i >= 0 {
		line, _, _ := strings.Cut(string(text[i:]), "\n")
		return line
	}
	return lastLine(text)
}

// retriable tells what passes by itself or with another port.
func (d dir) retriable(err error) bool {
	text := err.Error()
	if strings.Contains(text, "could not create any TCP/IP sockets") {
		_, err := d.newPort()
		return err == nil
	}
	return strings.Contains(text, "lock file") || strings.Contains(text, "pre-existing shared memory block")
}

// settle waits for processes a killed run left behind, stops them when they
// stay, and removes their pid file once none of them lives.
func (d dir) settle(ctx context.Context) error {
	begun := time.Now()
	for {
		pids, err := living(d.data())
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			err := os.Remove(filepath.Join(d.data(), "postmaster.pid"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("stale pid file: %w", err)
			}
			return nil
		}
		if pid, ok := postmaster(d.data()); ok {
			signal := syscall.SIGINT
			if time.Since(begun) > stopWait {
				signal = syscall.SIGQUIT
			}
			if slices.Contains(pids, pid) {
				_ = syscall.Kill(pid, signal) // it may end in this moment
			}
		}
		if cause := pause(ctx, 2*poll); cause != nil {
			return fmt.Errorf("process %d of an earlier run still works in %s: %w", pids[0], d.data(), cause)
		}
	}
}
