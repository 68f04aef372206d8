package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/resolver"
)

// Scheme is the scheme of targets that this package resolves, as in etcd:///customer-registry.
const Scheme = "etcd"

// Builder makes the resolvers of one etcd client. It is a resolver.Builder for grpc.WithResolvers. The
// intervals may be changed before its first use.
//
// Guarantees of its resolvers, as long as etcd answers: the list is followed by a watch and taken anew after
// any end of that watch, when etcd turns out to be another cluster or to have gone back in time, and when grpc
// asks because a connection failed. An empty list is reported too, so calls fail UNAVAILABLE at once.
//
// When etcd does not answer, the last list stays in force; if there never was one, calls fail UNAVAILABLE
// within a second. After such a silence, and after a wipe, endpoints that are missing are kept for Settle,
// because instances need a moment to register again.
type Builder struct {
	// Relist is the longest time between two lists.
	Relist time.Duration
	// Check is the time between two looks at whether etcd answers and is still the same.
	Check time.Duration
	// Settle is how long missing endpoints are kept after etcd came back or was replaced.
	Settle time.Duration

	client *clientv3.Client
}

// NewResolver returns a Builder with the intervals 30 s, 5 s and twice the lease. The client must outlive the
// connections that use the Builder.
func NewResolver(client *clientv3.Client) *Builder {
	return &Builder{Relist: 30 * time.Second, Check: 5 * time.Second, Settle: 2 * leaseTTL, client: client}
}

// Scheme implements resolver.Builder.
func (b *Builder) Scheme() string { return Scheme }

// Build implements resolver.Builder. It does not wait for etcd and fails only for a target that names no service.
func (b *Builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	service := strings.TrimPrefix(target.Endpoint(), "/")
	if err := checkService(service); err != nil {
		return nil, fmt.Errorf("target %q: %w", target.URL.String(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{
		Builder: *b,
		prefix:  prefix(service),
		cc:      cc,
		log:     slog.With("component", "discovery", "target", service),
		known:   map[string]string{},
	}
	h := &handle{cancel: cancel, done: make(chan struct{}), now: make(chan struct{}, 1)}
	go func() {
		defer close(h.done)
		f.run(ctx, h.now)
	}()
	return h, nil
}

// handle is grpc's side of a follower.
type handle struct {
	cancel context.CancelFunc
	done   chan struct{}
	now    chan struct{}
}

// ResolveNow asks for a list; requests within a second of the last list become one.
func (h *handle) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case h.now <- struct{}{}:
	default:
	}
}

// Close returns when the follower has ended.
func (h *handle) Close() {
	h.cancel()
	<-h.done
}
