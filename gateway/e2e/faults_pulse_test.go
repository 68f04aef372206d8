//go:build faults

package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	pulseEvery = 20 * time.Millisecond
	// pulseLimit is the lateness at which the machine, and not the suite, is what makes
	// calls fail: a try may take a second, and needs some three commits and answers.
	pulseLimit = 300 * time.Millisecond
)

// pulse commits a transaction of its own again and again, past the suite and past every
// proxy: what the machine itself makes everybody wait.
type pulse struct {
	stop func()

	mu     sync.Mutex
	beats  []beat
	usages []usage
}

type beat struct {
	at   time.Time
	late time.Duration
}

func (g *ground) pulse(t testing.TB) *pulse {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pulse{stop: cancel}
	go func() {
		for tick := time.NewTicker(500 * time.Millisecond); ctx.Err() == nil; {
			if u, ok := used(); ok {
				p.mu.Lock()
				p.usages = append(p.usages, u)
				p.mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
			}
		}
	}()
	go func() {
		var conn *pgx.Conn
		for ctx.Err() == nil {
			due := time.Now().Add(pulseEvery)
			time.Sleep(pulseEvery)
			if conn == nil || conn.IsClosed() {
				conn, _ = pgx.Connect(ctx, g.admin) // without Postgres there is no beat
				continue
			}
			// An id makes it a transaction whose commit is flushed to disk.
			if _, err := conn.Exec(ctx, `SELECT txid_current()`); err == nil {
				p.mu.Lock()
				p.beats = append(p.beats, beat{due, time.Since(due)})
				p.mu.Unlock()
			}
		}
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx)) // it is given up either way
		}
	}()
	return p
}

// worst is the lateness of the worst beat that touched a span of time.
func (p *pulse) worst(from, to time.Time) (most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.beats {
		if b.at.Before(to) && b.at.Add(b.late).After(from) {
			most = max(most, b.late)
		}
	}
	return most
}
