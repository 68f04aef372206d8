// Package localetcd runs a single-member etcd inside this process, for a local stack and for tests.
//
// It links the whole etcd server, so only programs that need one import it; services and the gateway use
// package discovery, which needs the client alone.
package localetcd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

// Options says where the server keeps its data and where it listens. Dir is required.
type Options struct {
	// Dir holds the data; it is created with mode 0700 when missing. One process at a time may use it.
	Dir string
	// Addr is host:port for clients. Empty means 127.0.0.1 and a port chosen by the system; see Server.Addr.
	Addr string
	// NoSync leaves out fsync. Data written before a crash of the machine may then be lost: tests only.
	NoSync bool
	// LogFile receives etcd's own log from level warn on. Empty means panics only, to standard error.
	LogFile string
}

// Server is a running etcd. Its methods may be called from any goroutine.
type Server struct {
	etcd *embed.Etcd
	lock *os.File
	stop sync.Once
}

// Start starts etcd on o.Dir and returns when it answers requests. A directory without data becomes a new
// cluster with an id of its own, so that clients can tell it from the one that was there before.
//
// It fails when the directory is in use by another process, when the address is taken and when ctx ends
// before the server is ready; nothing is left running then.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("localetcd: Dir is empty")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("localetcd: data directory: %w", err)
	}
	cfg, err := config(o)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("localetcd: start on %s: %w", cfg.ListenClientUrls[0].Host, err), lock.Close())
	}
	s := &Server{etcd: etcd, lock: lock}
	select {
	case <-etcd.Server.ReadyNotify():
		if err = s.answers(ctx); err == nil {
			return s, nil
		}
	case err = <-etcd.Err():
	case <-etcd.Server.StopNotify():
		err = errors.New("stopped before it was ready")
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Stop()
	return nil, fmt.Errorf("localetcd: %w", err)
}

// Addr is the host:port at which clients reach the server; it does not change while it runs.
func (s *Server) Addr() string { return s.etcd.Clients[0].Addr().String() }

// Endpoint is Addr as the URL that etcd clients take.
func (s *Server) Endpoint() string { return "http://" + s.Addr() }

// Err delivers the error that ended the server by itself, if one does, and is closed by Stop.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Stop ends the server and releases its directory; later calls do nothing. Clients should be closed first:
// with one still connected it waits about six seconds for it before it cuts the connection.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.etcd.Close()
		_ = s.lock.Close() // the lock goes with the descriptor; there is nothing to save
	})
}

// answers waits for a first answer: etcd calls itself ready before it serves its listener.
func (s *Server) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint()+"/health", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("first request: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("first request: %s", resp.Status)
	}
	return nil
}

func config(o Options) (*embed.Config, error) {
	addr := o.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("localetcd: Addr %q: %w", addr, err)
	}
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return nil, fmt.Errorf("localetcd: cluster token: %w", err)
	}

	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(o.Dir, "data")
	cfg.Name = "local"
	client := url.URL{Scheme: "http", Host: addr}
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{client}
	// Etcd insists on a peer listener. No peer ever calls, so any free port will do and the advertised
	// address is only a name; a constant keeps it equal to the one stored with the data.
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// The cluster id is a hash of the peer address and this token: without chance a wiped etcd would come
	// back under the id it had.
	cfg.InitialClusterToken = hex.EncodeToString(token)
	// A single member elects itself: short ticks only shorten the start.
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = "1h"
	cfg.EnableGRPCGateway = false
	cfg.UnsafeNoFsync = o.NoSync
	// At level error etcd reports every orderly stop as a failure; what matters comes back from Start and Err.
	cfg.LogLevel = "panic"
	if o.LogFile != "" {
		cfg.LogLevel = "warn"
		cfg.LogOutputs = []string{o.LogFile}
	}
	return cfg, nil
}

// lockDir exists because etcd itself waits without end for a database that another process has open.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("localetcd: lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("localetcd: %s is in use by another etcd: %w", dir, err), f.Close())
	}
	return f, nil
}
