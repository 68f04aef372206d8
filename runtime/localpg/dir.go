package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	superuser  = "postgres"
	socketPort = 5432
	// What sockaddr_un holds, less the closing zero.
	socketPathMax = 107
	poll          = 20 * time.Millisecond
)

// dir is the folder of one private server.
type dir string

func (d dir) data() string     { return filepath.Join(string(d), "data") }
func (d dir) socket() string   { return filepath.Join(string(d), "socket") }
func (d dir) log() string      { return filepath.Join(string(d), "log") }
func (d dir) password() string { return filepath.Join(string(d), "password") }
func (d dir) port() string     { return filepath.Join(string(d), "port") }
func (d dir) users() string    { return filepath.Join(string(d), "users") }
func (d dir) open() string     { return filepath.Join(string(d), "open") }

func openDir(path string) (dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("folder of the private Postgres: %w", err)
	}
	d := dir(abs)
	for _, p := range []string{abs, d.socket(), d.users()} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return "", fmt.Errorf("folder of the private Postgres: %w", err)
		}
	}
	return d, nil
}

// lock waits for the folder's lock until ctx ends. The kernel frees it with
// the process, however that ends.
func (d dir) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(string(d), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", d, err)
		}
		if pause(ctx, poll) != nil {
			_ = f.Close()
			return nil, fmt.Errorf("%s is in use by another process", d)
		}
	}
}

// onSocket says whether the folder's path leaves room for a Unix socket.
func (d dir) onSocket() bool {
	return len(filepath.Join(d.socket(), ".s.PGSQL."+strconv.Itoa(socketPort))) <= socketPathMax
}

// listen returns the server's flags for where to listen. Unix sockets are
// switched off explicitly otherwise: the compiled-in folder may not be ours.
func (d dir) listen() ([]string, error) {
	if d.onSocket() {
		return []string{"-k", d.socket(), "-c", "listen_addresses=", "-c", "port=" + strconv.Itoa(socketPort)}, nil
	}
	port, err := d.readPort()
	if err != nil {
		return nil, err
	}
	return []string{"-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(port)}, nil
}

func (d dir) readPort() (int, error) {
	text, err := os.ReadFile(d.port())
	if errors.Is(err, fs.ErrNotExist) {
		return d.newPort()
	}
	if err != nil {
		return 0, fmt.Errorf("port: %w", err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return d.newPort()
	}
	return port, nil
}

// newPort keeps a port that is free now. It may be taken before the server
// listens; the start is then tried again with another.
func (d dir) newPort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("port: %w", err)
	}
	return port, writeFile(d.port(), strconv.Itoa(port))
}

// adminURL needs the password and, without a socket, the port to be there.
func (d dir) adminURL() (string, error) {
	password, err := os.ReadFile(d.password())
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, string(password)), Path: "/postgres"}
	q := url.Values{"sslmode": {"disable"}}
	if d.onSocket() {
		q.Set("host", d.socket())
		q.Set("port", strconv.Itoa(socketPort))
	} else {
		port, err := d.readPort()
		if err != nil {
			return "", err
		}
		u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (d dir) makePassword() error {
	if _, err := os.Stat(d.password()); err == nil {
		return nil
	}
	return writeFile(d.password(), rand.Text())
}

// writeFile leaves either the old content or the new.
func writeFile(path, text string) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// postmaster reads the process id in the data directory's pid file.
func postmaster(data string) (int, bool) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	return pid, err == nil && pid > 0
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
