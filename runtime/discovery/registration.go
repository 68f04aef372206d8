package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	leaseTTL    = 5 * time.Second
	callTimeout = time.Second
	// verifyEvery bounds how long a key that somebody removed or overwrote stays so while its lease lives.
	verifyEvery = 5 * time.Second
	minRetry    = 100 * time.Millisecond
	maxRetry    = time.Second
)

// Registration keeps one instance announced in etcd. Its methods may be called from any goroutine.
type Registration struct {
	client     *clientv3.Client
	key, value string
	log        *slog.Logger
	cancel     context.CancelFunc
	done       chan struct{}
	registered atomic.Bool
	lease      atomic.Int64
}

// Register announces inst as an instance of service and keeps it announced until Leave, or until ctx ends; in
// the latter case the entry stays until its lease runs out, at most five seconds.
//
// It returns at once: etcd may be down. Whatever is lost later (the lease, the key, all of etcd's data) is put
// back within about two seconds of etcd answering again, or five if only the key was lost. It fails only for a
// service, id or address that cannot be stored.
func Register(ctx context.Context, client *clientv3.Client, service string, inst Instance) (*Registration, error) {
	key, value, err := entry(service, inst)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Registration{
		client: client, key: key, value: value,
		log:    slog.With("component", "discovery", "key", key, "addr", inst.Addr),
		cancel: cancel,
		done:   make(chan struct{}),
	}
	go r.run(ctx)
	return r, nil
}

// Registered tells whether the entry stands in etcd by the last that was heard from it. It turns false when
// the lease could not be renewed for its five seconds, and after Leave.
func (r *Registration) Registered() bool { return r.registered.Load() }

// Leave removes the entry and stops renewing it. Clients hear of it within one round of their watch; go on
// serving for that long. It returns within a second. On an error the entry may stand until its lease runs out,
// five seconds later; renewing has stopped in any case. Calling it again tries the removal again.
func (r *Registration) Leave(ctx context.Context) error {
	r.cancel()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("discovery: leave %s: %w", r.key, ctx.Err())
	}
	id := clientv3.LeaseID(r.lease.Load())
	if id == clientv3.NoLease {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := r.client.Revoke(ctx, id); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("discovery: leave %s: %w", r.key, err)
	}
	return nil
}

func (r *Registration) run(ctx context.Context) {
	defer close(r.done)
	wait, lost := minRetry, false
	for {
		stood, err := r.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if stood {
			wait, lost = minRetry, false
		}
		if !lost {
			r.log.Warn("not registered, trying until the entry stands", "error", err)
			lost = true
		}
		// Left alone, a connection that was down for long waits up to two minutes before its next try.
		r.client.ActiveConnection().ResetConnectBackoff()
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, maxRetry)
	}
}

// session announces the instance under a new lease and returns when that is lost. Each session has a lessor of
// its own, because the client's shared one halts for good on an error that it takes for final.
func (r *Registration) session(ctx context.Context) (stood bool, err error) {
	lessor := clientv3.NewLease(r.client)
	defer func() { err = errors.Join(err, lessor.Close()) }()
	if err := r.announce(ctx, lessor); err != nil {
		return false, err
	}
	alive, err := lessor.KeepAlive(ctx, clientv3.LeaseID(r.lease.Load()))
	if err != nil {
		return false, fmt.Errorf("keep alive: %w", err)
	}
	r.registered.Store(true)
	defer r.registered.Store(false)
	r.log.Info("registered")

	verify := time.NewTicker(verifyEvery)
	defer verify.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case _, ok := <-alive:
			if !ok {
				return true, errors.New("lease lost")
			}
		case <-verify.C:
			if err := r.verify(ctx); err != nil {
				return true, err
			}
		}
	}
}

func (r *Registration) announce(ctx context.Context, lessor clientv3.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lease, err := lessor.Grant(ctx, int64(leaseTTL/time.Second))
	if err != nil {
		return fmt.Errorf("grant a lease: %w", err)
	}
	// Known before the put, so that Leave also takes back a put whose answer was never seen.
	r.lease.Store(int64(lease.ID))
	if _, err := r.client.Put(ctx, r.key, r.value, clientv3.WithLease(lease.ID)); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return nil
}

// verify fails when the key does not stand as this session put it. That etcd cannot be asked is no news: the
// lease tells when that has lasted too long.
func (r *Registration) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := r.client.Get(ctx, r.key)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].Lease != r.lease.Load() || string(resp.Kvs[0].Value) != r.value {
		return errors.New("key removed or overwritten")
	}
	return nil
}

// pause waits and tells whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
