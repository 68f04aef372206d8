package discovery_test

import (
	"context"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/testkit/etcdtest"
)

func TestNothingRegisteredFailsAtOnce(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client := s.Client(t)
	for name, config := range map[string]string{"round_robin": roundRobin, "pick_first": pickFirst} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, discovery.NewResolver(client), config)
			if err := call(c); status.Code(err) != codes.Unavailable {
				t.Fatalf("%v, want UNAVAILABLE and no wait for the deadline", err)
			}
			i := serve(t)
			r, _ := register(t, client, "one", i)
			reaches(t, watched, c, i)
			if err := r.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, beforeLease, "UNAVAILABLE again", func() bool { return status.Code(call(c)) == codes.Unavailable })
		})
	}
}

func TestEtcdDownFromTheStart(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	s.Stop()
	client := s.Client(t)
	i := serve(t)
	r, err := discovery.Register(t.Context(), client, service, discovery.Instance{ID: "one", Addr: i.addr})
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{"round_robin": roundRobin, "pick_first": pickFirst} {
		if err := call(dial(t, discovery.NewResolver(client), config)); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v, want UNAVAILABLE and no wait for the deadline", name, err)
		}
	}
	if r.Registered() {
		t.Error("registered without etcd")
	}
	c := dial(t, discovery.NewResolver(client), roundRobin)
	s.Restart()
	eventually(t, watched, "registered", r.Registered)
	reaches(t, watched, c, i)
}

func TestCutAndCompaction(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]time.Duration{"noticed": 200 * time.Millisecond, "unnoticed": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := etcdtest.Start(t)
			client, way := s.Client(t), s.Proxy()
			cut := etcdtest.Dial(t, way.Endpoint())
			b := quick(cut)
			b.Check, b.Relist = check, time.Hour
			c := dial(t, b, roundRobin)
			gone, here := serve(t), serve(t)
			r, _ := register(t, client, "gone", gone)
			reaches(t, watched, c, gone)

			way.Cut()
			if err := r.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			register(t, client, "here", here)
			s.Compact()
			if check < time.Hour {
				fresh(t, cut, 3) // the time it takes the other resolver to see that etcd is silent
			}
			mustCall(t, c, 10) // cut off, the last list stays in force
			s.Heal(way)

			reaches(t, watched, c, here)
			avoids(t, watched, c, gone)
		})
	}
}

func TestWipe(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client := s.Client(t)
	// Of a past that the new etcd must not repeat by accident: its revision shall be far below.
	for range 200 {
		if _, err := client.Put(t.Context(), "other/key", "value"); err != nil {
			t.Fatal(err)
		}
	}
	b := discovery.NewResolver(client)
	b.Settle = 3 * time.Second
	old, lost, next := serve(t), serve(t), serve(t)
	c := dial(t, b, roundRobin)
	r, _ := register(t, client, "old", old)
	if _, err := client.Put(t.Context(), service+"/lost", `{"Op":0,"Addr":"`+lost.addr+`"}`); err != nil {
		t.Fatal(err)
	}
	reaches(t, watched, c, old)
	reaches(t, watched, c, lost)

	// One that looks often enough to see the new etcd while nobody has registered in it yet.
	eager := quick(client)
	eager.Check, eager.Settle = 20*time.Millisecond, 5*time.Second
	hasty := dial(t, eager, roundRobin)
	mustCall(t, hasty, 10)

	calls, more := underLoad(t, c), underLoad(t, hasty)
	s.Wipe()
	eventually(t, watched, "key stands again", func() bool {
		resp, err := client.Get(t.Context(), service+"/old")
		return err == nil && resp.Count == 1
	})
	eventually(t, watched, "registered again", r.Registered)
	register(t, client, "next", next)
	before := next.calls.Load()
	eventually(t, watched, "resolver follows the new etcd", func() bool { return next.calls.Load() > before })
	calls.end(t)
	more.end(t)
	avoids(t, watched, c, lost)
	reaches(t, watched, c, old)
}

func TestEtcdStoppedUnderCalls(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client := s.Client(t)
	one, two, late := serve(t), serve(t), serve(t)
	c := dial(t, quick(client), roundRobin)
	r1, _ := register(t, client, "one", one)
	r2, _ := register(t, client, "two", two)
	reaches(t, watched, c, one)
	reaches(t, watched, c, two)

	calls := underLoad(t, c)
	s.Stop()
	// That both are false says that the stop outlasted the leases.
	eventually(t, watched, "leases run out", func() bool { return !r1.Registered() && !r2.Registered() })
	if err := call(c); err != nil {
		t.Errorf("%v while etcd is down", err)
	}
	s.Restart()
	eventually(t, watched, "registered again", func() bool { return r1.Registered() && r2.Registered() })
	register(t, client, "late", late)
	before := late.calls.Load()
	eventually(t, watched, "resolver follows again", func() bool { return late.calls.Load() > before })
	calls.end(t)
}

func TestNothingIsDroppedWhileEtcdSettles(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client, way := s.Client(t), s.Proxy()
	cut := etcdtest.Dial(t, way.Endpoint())
	b := quick(cut)
	b.Settle = 3 * time.Second
	c := dial(t, b, roundRobin)
	old, late := serve(t), serve(t)
	if _, err := client.Put(t.Context(), service+"/old", `{"Op":0,"Addr":"`+old.addr+`"}`); err != nil {
		t.Fatal(err)
	}
	reaches(t, watched, c, old)
	way.Cut()
	fresh(t, cut, 3)
	s.Heal(way)
	register(t, client, "late", late)
	reaches(t, watched, c, late)

	if _, err := client.Delete(t.Context(), service+"/old"); err != nil {
		t.Fatal(err)
	}
	register(t, client, "later", late) // news that come after the removal
	mustCall(t, c, 50)
	reaches(t, watched, c, old)
	avoids(t, watched, c, old)
}

func TestKillMovesTraffic(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client := s.Client(t)
	dead, alive := serve(t), serve(t)
	c := dial(t, discovery.NewResolver(client), retrying)
	_, kill := register(t, client, "dead", dead)
	register(t, client, "alive", alive)
	reaches(t, watched, c, dead)
	reaches(t, watched, c, alive)

	calls := underLoad(t, c)
	kill()
	dead.server.Stop()
	reaches(t, watched, c, alive)
	eventually(t, watched, "entry of the dead runs out", func() bool {
		resp, err := client.Get(t.Context(), service+"/dead")
		return err == nil && resp.Count == 0
	})
	mustCall(t, c, 50)
	calls.end(t)
}

func TestLeaveEndsTraffic(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client := s.Client(t)
	left, stays := serve(t), serve(t)
	c := dial(t, discovery.NewResolver(client), roundRobin)
	r, _ := register(t, client, "left", left)
	register(t, client, "stays", stays)
	reaches(t, watched, c, left)
	reaches(t, watched, c, stays)
	calls := underLoad(t, c)
	if err := r.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	avoids(t, beforeLease, c, left)
	calls.end(t)
}

func TestForeignEntriesDoNoHarm(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	client := s.Client(t)
	i := serve(t)
	for key, value := range map[string]string{
		service + "/broken": "{", service + "/empty": "", service + "/noport": `{"Op":0,"Addr":"localhost"}`,
		service + "/removed": `{"Op":1,"Addr":"127.0.0.1:1"}`, service + "-two/x": `{"Op":0,"Addr":"127.0.0.1:1"}`,
		service + "/good": `{"Op":0,"Addr":"` + i.addr + `","Metadata":["any",1]}`,
	} {
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, discovery.NewResolver(client), roundRobin)
	mustCall(t, c, 50)
	if _, err := client.Put(t.Context(), service+"/broken", "still"); err != nil {
		t.Fatal(err)
	}
	mustCall(t, c, 50)
}

func TestBuildRefusesTargetsWithoutService(t *testing.T) {
	t.Parallel()
	b := discovery.NewResolver(etcdtest.Dial(t, "http://127.0.0.1:1"))
	for _, raw := range []string{"etcd:///", "etcd:///a/b", "etcd:"} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Build(resolver.Target{URL: *u}, nil, resolver.BuildOptions{}); err == nil || !strings.Contains(err.Error(), raw) {
			t.Errorf("%s: %v, want an error that names it", raw, err)
		}
	}
}

func TestResolveNowIsLimited(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	var lists atomic.Int64
	client, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop(), DialOptions: []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if r, ok := req.(*pb.RangeRequest); ok && !r.CountOnly {
				lists.Add(1)
			}
			return next(ctx, method, req, reply, cc, opts...)
		})}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	b := discovery.NewResolver(client)
	b.Relist, b.Check = time.Hour, time.Hour
	u, err := url.Parse("etcd:///" + service)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r, err := b.Build(resolver.Target{URL: *u}, sink{}, resolver.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	eventually(t, watched, "two further lists", func() bool {
		r.ResolveNow(resolver.ResolveNowOptions{})
		return lists.Load() >= 3
	})
	if took := time.Since(begin); took < 1900*time.Millisecond {
		t.Errorf("three lists within %v, want at least a second between them", took)
	}
}

// sink takes what a resolver reports.
type sink struct{ resolver.ClientConn }

func (sink) UpdateState(resolver.State) error { return nil }
func (sink) ReportError(error)                {}

// Not parallel: it counts the goroutines of the whole process.
func TestGoroutinesEnd(t *testing.T) {
	s := etcdtest.Start(t)
	s.Compact() // a first request, after which the server has all goroutines of its own
	for _, cut := range []bool{false, true} {
		way := s.Proxy()
		before := resting()
		t.Run("etcd cut off "+strconv.FormatBool(cut), func(t *testing.T) {
			client := etcdtest.Dial(t, way.Endpoint())
			i := serve(t)
			c := dial(t, quick(client), roundRobin)
			register(t, client, "one", i)
			reaches(t, watched, c, i)
			if during := runtime.NumGoroutine(); during < before+10 {
				t.Errorf("%d goroutines before and %d during: the count does not see them", before, during)
			}
			if cut {
				way.Cut()
				fresh(t, client, 2)
			}
		})
		eventually(t, watched, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	}
}

// resting is the least number of goroutines over a moment, so that some on their way out do not count.
func resting() int {
	least := runtime.NumGoroutine()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 60 {
		<-tick.C
		least = min(least, runtime.NumGoroutine())
	}
	return least
}

// fresh makes n new connections while etcd is cut off; each call fails when its resolver has given etcd a
// second to answer.
func fresh(t *testing.T, client *clientv3.Client, n int) {
	t.Helper()
	for range n {
		if err := call(dial(t, discovery.NewResolver(client), roundRobin)); status.Code(err) != codes.Unavailable {
			t.Fatalf("%v, want UNAVAILABLE and no wait for the deadline", err)
		}
	}
}
