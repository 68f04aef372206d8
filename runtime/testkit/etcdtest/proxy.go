package etcdtest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy passes TCP connections to an etcd and can cut them. Its address never changes.
type Proxy struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	target string // empty while cut
	conns  map[net.Conn]struct{}
	closed bool
}

// newProxy listens on a port of the system's choice until the test ends; it starts cut.
func newProxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the etcd proxy: %v", err)
	}
	p := &Proxy{listener: l, conns: map[net.Conn]struct{}{}}
	p.wg.Add(1)
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// Endpoint is the URL for etcd clients.
func (p *Proxy) Endpoint() string { return "http://" + p.listener.Addr().String() }

// Cut ends all connections and refuses new ones until point is called.
func (p *Proxy) Cut() { p.point("") }

// point cuts the connections there are and passes new ones to target.
func (p *Proxy) point(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	for c := range p.conns {
		_ = c.Close() // its copiers end and forget it
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.point("")
	p.wg.Wait()
}

func (p *Proxy) accept() {
	defer p.wg.Done()
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			p.pass(in)
		}()
	}
}

func (p *Proxy) pass(in net.Conn) {
	defer func() { _ = in.Close() }()
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target == "" {
		return
	}
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	if !p.keep(target, in, out) {
		return
	}
	defer p.forget(in, out)

	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			// Either end gone is both ends gone.
			_ = in.Close()
			_ = out.Close()
		})
	}
	wg.Wait()
}

// keep fails when the target changed while the connection was being made.
func (p *Proxy) keep(target string, conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.target != target {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}
