package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// The rhythm of the probe: what cannot serve is told within probeEvery + probeLimit.
const (
	probeEvery = 500 * time.Millisecond
	probeLimit = time.Second
)

var errNotStarted = errors.New("not started yet")

// errStopping is the reason of readiness being off while the process stops.
var errStopping = errors.New("stopping")

// readiness is the one truth behind /readyz and the gRPC health service.
type readiness struct {
	health *health.Server
	reason atomic.Pointer[error]

	mu     sync.Mutex
	closed bool
	checks map[string]func(context.Context) error
}

func newReadiness(h *health.Server) *readiness {
	r := &readiness{health: h, checks: map[string]func(context.Context) error{}}
	r.set(errNotStarted)
	return r
}

// add puts one more condition on readiness.
func (r *readiness) add(name string, check func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks[name] = check
}

// set states why the process cannot serve, nil that it can. After close only the
// first reason stands.
func (r *readiness) set(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.reason.Store(&reason)
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if reason != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	r.health.SetServingStatus("", status)
}

// close turns readiness off for good.
func (r *readiness) close() {
	r.set(errStopping)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.health.Shutdown()
}

// err is why the process cannot serve, nil if it can.
func (r *readiness) err() error { return *r.reason.Load() }

// run probes until ctx ends.
func (r *readiness) run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		r.set(r.probe(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *readiness) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	r.mu.Lock()
	checks := make(map[string]func(context.Context) error, len(r.checks))
	for name, check := range r.checks {
		checks[name] = check
	}
	r.mu.Unlock()
	for name, check := range checks {
		if err := check(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// databaseProbe asks over a connection of its own: a pool whose connections are all
// at work is busy, not broken.
type databaseProbe struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn
}

func (d *databaseProbe) check(ctx context.Context) error {
	if d.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, d.config)
		if err != nil {
			return errors.New(pg.Describe(err))
		}
		d.conn = conn
	}
	if err := d.conn.Ping(ctx); err != nil {
		d.close()
		return errors.New(pg.Describe(err))
	}
	return nil
}

func (d *databaseProbe) close() {
	if d.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	_ = d.conn.Close(ctx) // it is given up whatever the answer
	d.conn = nil
}
