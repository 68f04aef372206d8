//go:build faults

package e2e

import (
	"context"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kefu-suite/kefu/runtime/localpg"
	"github.com/kefu-suite/kefu/runtime/testkit/etcdtest"
	"github.com/kefu-suite/kefu/runtime/testkit/faultproxy"
)

// startWithin bounds how long a program that died may take to serve again; the stack waits
// up to 10 s before it starts one that died often.
const startWithin = 30 * time.Second

// seeds are those to run each fault with.
func seeds(t testing.TB) []uint64 {
	t.Helper()
	n := 3
	if text := os.Getenv("KEFU_FAULT_SEEDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("KEFU_FAULT_SEEDS is %q; it must be a number from 1 on", text)
		}
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i) + 1
	}
	return out
}

// ground is a stack on which faults are made, one after another.
type ground struct {
	s      *stack
	cast   cast
	ledger *ledger
	admin  string // URL of its Postgres, past every proxy
	before level
	// machine is the pulse of the run that is under way.
	machine *pulse
}

// newGround makes a stack ready: its people, its warm pools, its level before any fault.
func newGround(t *testing.T, s *stack, admin string) *ground {
	t.Helper()
	g := &ground{s: s, admin: admin}
	g.settle(t).memory(t, "idle")
	g.cast, g.ledger = casting(t, s), newLedger(t, s)
	g.run(t, 0, strike{name: "nothing", victim: "service-ticket", crowd: true, harm: func(testing.TB, *history, *rand.Rand) {}})
	g.before = g.settle(t)
	return g
}

// pid is that of a replica now.
func (g *ground) pid(t testing.TB, service string, replica int) int {
	t.Helper()
	return g.replica(t, service, replica).PID
}

// replica waits until a replica runs.
func (g *ground) replica(t testing.TB, service string, replica int) program {
	t.Helper()
	for deadline := time.Now().Add(startWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		programs, err := g.programs()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			if p.Name == service && p.Replica == replica && p.PID != 0 {
				return p
			}
		}
	}
	t.Fatalf("%s-%d does not run", service, replica)
	return program{}
}

// restarted waits until a replica runs as another process than old and is ready.
func (g *ground) restarted(t testing.TB, h *history, service string, replica, old int) {
	t.Helper()
	for deadline := time.Now().Add(startWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if p := g.replica(t, service, replica); p.PID != old && p.ready(t.Context()) {
			h.happened("%s is ready as process %d", p.label(), p.PID)
			return
		}
	}
	t.Fatalf("%s-%d was not started again within %v", service, replica, startWithin)
}

func signal(t testing.TB, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal %v to %d: %v", s, pid, err)
	}
}

// pair is a stack of two replicas whose Postgres and etcd are in the test's hands.
type pair struct {
	*ground
	proxy *faultproxy.Proxy
	etcd  *etcdtest.Server
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{etcd: etcdtest.Start(t)}
	dir := filepath.Join(filepath.Dir(suite.dir), "pair")
	admin := startPostgres(t, dir+"-postgres")
	at, err := pgx.ParseConfig(admin)
	if err != nil {
		t.Fatal(err)
	}
	if p.proxy, err = faultproxy.New(pgconn.NetworkAddress(at.Host, at.Port)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.proxy.Close() }) // its clients are gone
	through := url.URL{Scheme: "postgres", User: url.UserPassword(at.User, at.Password), Host: p.proxy.Addr(), Path: "/postgres", RawQuery: "sslmode=disable"}
	t.Setenv("KEFU_DATABASE_URL", through.String())
	t.Setenv("KEFU_ETCD_ENDPOINTS", p.etcd.Endpoints()[0])
	s, err := start(suite.bin, dir, "--replicas", "2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs()
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	p.ground = newGround(t, s, admin)
	return p
}

// startPostgres runs a private Postgres for the test, on a thread that lives as long.
func startPostgres(t *testing.T, dir string) (admin string) {
	t.Helper()
	started, ended, over := make(chan error, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		server, err := localpg.Start(context.Background(), localpg.Options{Dir: dir, Path: os.Getenv("PATH")})
		if err == nil {
			admin = server.AdminURL()
		}
		started <- err
		<-ended
		if server != nil {
			err = server.Stop(context.Background())
		}
		over <- err
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(ended)
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return admin
}
