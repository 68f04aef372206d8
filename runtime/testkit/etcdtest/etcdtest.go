// Package etcdtest gives tests a real etcd that can be stopped, restarted, wiped, compacted and cut off.
//
// It links the etcd server; tests that need no etcd do not import it.
package etcdtest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/localetcd"
)

const startTimeout = 20 * time.Second

// Server is an etcd behind a proxy, so that its endpoint stays the same through every stop and wipe. Its
// methods are for the test's own goroutine; a failure ends the test.
type Server struct {
	t       testing.TB
	dir     string
	wipes   int
	etcd    *localetcd.Server
	proxies []*Proxy
}

// Start starts an empty etcd for the test and stops it when the test ends, after every client and connection
// that the test made since has been closed by its own cleanup. It returns when etcd answers.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir()}
	t.Cleanup(s.Stop)
	s.proxies = []*Proxy{newProxy(t)}
	s.Restart()
	return s
}

// Endpoints are the URLs for clients. They do not change.
func (s *Server) Endpoints() []string { return []string{s.proxies[0].Endpoint()} }

// Proxy gives a further way to the same etcd, which can be cut without harm to the others.
func (s *Server) Proxy() *Proxy {
	s.t.Helper()
	p := newProxy(s.t)
	s.proxies = append(s.proxies, p)
	s.Heal(p)
	return p
}

// Heal ends a cut of p.
func (s *Server) Heal(p *Proxy) {
	if s.etcd != nil {
		p.point(s.etcd.Addr())
	}
}

// Client returns a client that is closed at the end of the test, before the server stops.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	return Dial(t, s.Endpoints()...)
}

// Dial returns a client of the endpoints that is closed at the end of the test.
func Dial(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	c, err := discovery.Dial(endpoints, nil)
	if err != nil {
		t.Fatalf("etcd client: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it has nothing to lose
	return c
}

// Stop cuts every client off and stops etcd; its data stays. Stopping twice does nothing.
func (s *Server) Stop() {
	for _, p := range s.proxies {
		p.Cut()
	}
	if s.etcd != nil {
		s.etcd.Stop()
		s.etcd = nil
	}
}

// Restart stops etcd if it runs and starts it on the same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	etcd, err := localetcd.Start(ctx, localetcd.Options{Dir: filepath.Join(s.dir, strconv.Itoa(s.wipes)), NoSync: true})
	if err != nil {
		s.t.Fatalf("start etcd: %v", err)
	}
	s.etcd = etcd
	for _, p := range s.proxies {
		s.Heal(p)
	}
}

// Wipe restarts etcd without data: another cluster id, revisions from one, the same endpoint.
func (s *Server) Wipe() {
	s.t.Helper()
	s.Stop()
	if err := os.RemoveAll(filepath.Join(s.dir, strconv.Itoa(s.wipes))); err != nil {
		s.t.Fatalf("wipe etcd: %v", err)
	}
	s.wipes++
	s.Restart()
}

// Compact drops all history up to now, so that a watch from an older revision ends.
func (s *Server) Compact() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := discovery.Dial(s.Endpoints(), nil)
	if err != nil {
		s.t.Fatalf("etcd client: %v", err)
	}
	defer func() { _ = c.Close() }()
	resp, err := c.Get(ctx, "any")
	if err != nil {
		s.t.Fatalf("revision of etcd: %v", err)
	}
	if _, err := c.Compact(ctx, resp.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		s.t.Fatalf("compact etcd: %v", err)
	}
}
