package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

const (
	// listGap keeps a watch that ends at once from turning into a busy loop of lists.
	listGap = 100 * time.Millisecond
	// askGap is the least time between two lists that grpc asked for.
	askGap = time.Second
)

// follower keeps one grpc connection's endpoints equal to the entries below prefix. One goroutine uses it.
type follower struct {
	Builder
	prefix string
	cc     resolver.ClientConn
	log    *slog.Logger

	known    map[string]string // key to address
	reported []string
	told     bool // reported says what grpc knows

	cluster   uint64
	revision  int64
	listed    time.Time
	silent    bool      // etcd did not answer last time
	holdUntil time.Time // until then nothing known is dropped
}

func (f *follower) run(ctx context.Context, now <-chan struct{}) {
	for ctx.Err() == nil {
		if wait := listGap - time.Since(f.listed); wait > 0 && !pause(ctx, wait) {
			return
		}
		if err := f.list(ctx); err != nil {
			f.unreachable(ctx, err)
			// Left alone, a connection that was down for long waits up to two minutes before its next try.
			f.client.ActiveConnection().ResetConnectBackoff()
			pause(ctx, minRetry)
			continue
		}
		f.follow(ctx, now)
	}
}

// list takes the whole list, decides whether what it lacks may be believed yet, and reports it.
func (f *follower) list(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := f.client.Get(ctx, f.prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	f.listed = time.Now()
	replaced := f.cluster != 0 && !f.same(resp.Header.ClusterId, resp.Header.Revision)
	if replaced || f.silent {
		f.holdUntil = f.listed.Add(f.Settle)
		f.log.Info("etcd answers again", "replaced", replaced)
	}
	f.cluster, f.revision, f.silent = resp.Header.ClusterId, resp.Header.Revision, false

	next := map[string]string{}
	if f.holding() {
		next = maps.Clone(f.known)
	}
	for _, kv := range resp.Kvs {
		f.put(next, string(kv.Key), kv.Value)
	}
	f.known = next
	f.report()
	return nil
}

// same tells whether an answer can come from the etcd that was listed. A wiped etcd may return with the id it
// had, but not with its revision.
func (f *follower) same(cluster uint64, revision int64) bool {
	return cluster == f.cluster && revision >= f.revision
}

func (f *follower) holding() bool { return time.Now().Before(f.holdUntil) }

// follow applies changes until it is time for another list.
func (f *follower) follow(ctx context.Context, now <-chan struct{}) {
	events, stop := f.watch(ctx)
	defer stop()
	relist := time.NewTimer(f.Relist)
	defer relist.Stop()
	if f.holding() {
		relist.Reset(min(f.Relist, time.Until(f.holdUntil)))
	}
	check := time.NewTicker(f.Check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-relist.C:
			return
		case <-check.C:
			if !f.check(ctx) {
				return
			}
		case <-now:
			wait := askGap - time.Since(f.listed)
			if wait <= 0 {
				return
			}
			relist.Reset(wait)
		case resp, ok := <-events:
			if !ok || resp.Err() != nil || !f.same(resp.Header.ClusterId, resp.Header.Revision) {
				return
			}
			f.apply(resp)
		}
	}
}

// watch runs apart from the loop because opening a watch blocks for as long as etcd does not answer.
func (f *follower) watch(ctx context.Context) (events <-chan clientv3.WatchResponse, stop func()) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	out := make(chan clientv3.WatchResponse)
	revision := f.revision + 1
	go func() {
		defer close(out)
		for resp := range f.client.Watch(ctx, f.prefix, clientv3.WithPrefix(), clientv3.WithRev(revision)) {
			select {
			case out <- resp:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func() {
		cancel()
		for range out { // until the goroutine has ended
		}
	}
}

// check asks whether etcd answers and is the one that was listed: a watch at a revision that a wiped etcd has
// not reached yet hears nothing and never ends.
func (f *follower) check(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := f.client.Get(ctx, f.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	return err == nil && f.same(resp.Header.ClusterId, resp.Header.Revision)
}

func (f *follower) apply(resp clientv3.WatchResponse) {
	f.revision = resp.Header.Revision
	for _, e := range resp.Events {
		switch {
		case e.Type == clientv3.EventTypePut:
			f.put(f.known, string(e.Kv.Key), e.Kv.Value)
		case !f.holding():
			delete(f.known, string(e.Kv.Key))
		}
	}
	f.report()
}

func (f *follower) put(known map[string]string, key string, value []byte) {
	addr, err := address(value)
	if err != nil {
		f.log.Warn("entry ignored", "key", key, "error", err)
		delete(known, key)
		return
	}
	known[key] = addr
}

// report tells grpc the addresses if they are not what it knows. The order is fixed, so that equal lists are equal.
func (f *follower) report() {
	addrs := slices.Compact(slices.Sorted(maps.Values(f.known)))
	if f.told && slices.Equal(addrs, f.reported) {
		return
	}
	f.reported, f.told = addrs, true
	state := resolver.State{Addresses: make([]resolver.Address, len(addrs))}
	for i, a := range addrs {
		state.Addresses[i] = resolver.Address{Addr: a}
	}
	f.log.Info("endpoints changed", "addrs", addrs)
	// The error says that the balancer did not like an empty list and wants another: the watch brings it.
	_ = f.cc.UpdateState(state)
}

// unreachable keeps what is known. Only a connection that never had a list is told, so that its calls fail now
// and not at their deadlines.
func (f *follower) unreachable(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if !f.silent {
		f.log.Warn("etcd does not answer, keeping the endpoints known", "known", len(f.known), "error", err)
		f.silent = true
		if !f.told {
			f.cc.ReportError(status.Error(codes.Unavailable, fmt.Sprintf("service discovery does not answer, no endpoints known: %v", err)))
		}
	}
}
