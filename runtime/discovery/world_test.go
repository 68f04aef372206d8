package discovery_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kefu-suite/kefu/runtime/discovery"
)

const (
	service    = "echo"
	roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`
	pickFirst  = `{"loadBalancingConfig":[{"pick_first":{}}]}`
	retrying   = `{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{}],"retryPolicy":
		{"maxAttempts":4,"initialBackoff":"0.01s","maxBackoff":"0.1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`
)

// How long a test waits for what takes milliseconds on a machine that is not busy.
const (
	// watched is less than the 30 s after which a list is taken anew without any reason.
	watched = 20 * time.Second
	// beforeLease is less than the five seconds of a lease: the entry was removed.
	beforeLease = 4 * time.Second
)

// eventually polls until ok, and fails the test when that takes longer than limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
	t.Logf("%s: after %v", what, time.Since(begin).Round(time.Millisecond))
}

// instance is a grpc server that counts its calls.
type instance struct {
	addr   string
	server *grpc.Server
	calls  atomic.Int64
}

func serve(t *testing.T) *instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{addr: l.Addr().String()}
	i.server = grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			i.calls.Add(1)
			return h(ctx, req)
		}))
	grpc_health_v1.RegisterHealthServer(i.server, health.NewServer())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = i.server.Serve(l) // ends with Stop
	}()
	t.Cleanup(func() {
		i.server.Stop()
		<-done
	})
	return i
}

// register announces i under id and waits until it stands.
func register(t *testing.T, client *clientv3.Client, id string, i *instance) (*discovery.Registration, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := discovery.Register(ctx, client, service, discovery.Instance{ID: id, Addr: i.addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		_ = r.Leave(context.Background()) // etcd may be stopped by now
	})
	eventually(t, watched, id+" registered", r.Registered)
	return r, cancel
}

func quick(client *clientv3.Client) *discovery.Builder {
	b := discovery.NewResolver(client)
	b.Check, b.Settle = 200*time.Millisecond, 500*time.Millisecond
	return b
}

func dial(t *testing.T, b *discovery.Builder, config string) grpc_health_v1.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient("etcd:///"+service, grpc.WithResolvers(b), grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func call(c grpc_health_v1.HealthClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

func mustCall(t *testing.T, c grpc_health_v1.HealthClient, times int) {
	t.Helper()
	for n := range times {
		if err := call(c); err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
	}
}

// reaches polls calls until one arrives at i.
func reaches(t *testing.T, limit time.Duration, c grpc_health_v1.HealthClient, i *instance) {
	t.Helper()
	before := i.calls.Load()
	eventually(t, limit, "call reaches "+i.addr, func() bool { return call(c) == nil && i.calls.Load() > before })
}

// avoids polls calls until fifty in a row, and then two hundred, pass i by.
func avoids(t *testing.T, limit time.Duration, c grpc_health_v1.HealthClient, i *instance) {
	t.Helper()
	eventually(t, limit, "calls avoid "+i.addr, func() bool {
		before := i.calls.Load()
		mustCall(t, c, 50)
		return i.calls.Load() == before
	})
	before := i.calls.Load()
	mustCall(t, c, 200)
	if got := i.calls.Load() - before; got != 0 {
		t.Errorf("%d of 200 calls went to %s, which is gone from the list", got, i.addr)
	}
}

// load calls without pause until stopped, and keeps the first error.
type load struct {
	once  sync.Once
	stop  chan struct{}
	done  chan struct{}
	calls int
	fails int
	first error
}

func underLoad(t *testing.T, c grpc_health_v1.HealthClient) *load {
	l := &load{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
			}
			l.calls++
			if err := call(c); err != nil {
				if l.fails++; l.first == nil {
					l.first = err
				}
			}
		}
	}()
	t.Cleanup(l.halt)
	return l
}

func (l *load) halt() {
	l.once.Do(func() { close(l.stop) })
	<-l.done
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.halt()
	t.Logf("%d calls, %d failed", l.calls, l.fails)
	if l.calls == 0 || l.fails > 0 {
		t.Errorf("%d of %d calls failed, the first with: %v", l.fails, l.calls, l.first)
	}
}
