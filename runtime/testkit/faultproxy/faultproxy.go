// Package faultproxy stands between a program and its Postgres and does harm on demand:
// it cuts, delays, goes silent, and loses the answer to a commit that the server got.
//
// It understands as much of Postgres' protocol as telling a commit takes, in plain text
// only: clients connect with sslmode=disable.
package faultproxy

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Session is what a client said of itself when it connected.
type Session struct{ Database, User, Application string }

// Proxy passes connections to one server. Its address never changes. Its methods may be
// called from any goroutine.
type Proxy struct {
	listener        net.Listener
	network, server string
	work            sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	cut     bool
	silent  chan struct{} // closed when silence ends; nil while there is none
	delay   time.Duration
	pairs   map[*pair]struct{}
	ambush  *ambush
	commits int
}

// ambush waits for a commit.
type ambush struct {
	match func(Session) bool
	skip  int
	done  chan Session
}

// New listens on a loopback port and passes what comes to the server, which is named as
// for net.Dial. It fails when it cannot listen.
func New(network, server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &Proxy{listener: l, network: network, server: server, pairs: map[*pair]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Addr is the host:port that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends all connections and the listener, and waits until nothing of it runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.Cut()
	p.Heal()
	p.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Cut ends all connections by reset and ends new ones at once, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.pairs {
		c.reset()
	}
}

// Silence keeps all connections open, old and new, and passes nothing until Heal, as a
// peer behind a broken network does.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent == nil {
		p.silent = make(chan struct{})
	}
}

// Delay holds everything the server says back for d.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Heal ends Cut, Silence and Delay.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.delay = false, 0
	if p.silent != nil {
		close(p.silent)
		p.silent = nil
	}
}

// LoseCommit passes the commit after the next skip ones to the server, in sessions that
// match, lets the server finish it, and resets the connection instead of passing the
// answer. The channel gives the session when that has happened. A later call replaces an
// ambush that has not happened.
func (p *Proxy) LoseCommit(match func(Session) bool, skip int) <-chan Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ambush = &ambush{match: match, skip: skip, done: make(chan Session, 1)}
	return p.ambush.done
}

// Commits is how many commits went by.
func (p *Proxy) Commits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.commits
}

// committing tells whether the answer to this commit is to be lost.
func (p *Proxy) committing(s Session) *ambush {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commits++
	a := p.ambush
	if a == nil || !a.match(s) {
		return nil
	}
	if a.skip > 0 {
		a.skip--
		return nil
	}
	p.ambush = nil
	return a
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	c := &pair{proxy: p, client: client, statements: map[string]bool{}, portals: map[string]bool{}}
	defer c.reset()
	p.wait()
	p.mu.Lock()
	refused := p.cut || p.closed
	p.mu.Unlock()
	if refused {
		return
	}
	server, err := net.Dial(p.network, p.server)
	if err != nil {
		return
	}
	p.mu.Lock()
	c.server = server
	refused = p.cut || p.closed
	if !refused {
		p.pairs[c] = struct{}{}
	}
	p.mu.Unlock()
	defer func() { _ = server.Close() }()
	if refused {
		return
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.pairs, c)
	}()
	var ways sync.WaitGroup
	for _, way := range []func() error{c.forth, c.back} {
		ways.Go(func() {
			_ = way() // either end gone is both ends gone
			c.reset()
		})
	}
	ways.Wait()
}

// wait returns when there is no silence.
func (p *Proxy) wait() time.Duration {
	for {
		p.mu.Lock()
		silent, delay := p.silent, p.delay
		p.mu.Unlock()
		if silent == nil {
			return delay
		}
		<-silent
	}
}
