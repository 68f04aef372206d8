//go:build faults

package e2e

import (
	"cmp"
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

const (
	// customersOfRun share the load's tickets and complaints.
	customersOfRun = 30
	// leastBefore and leastInFlight are the load on the victim without which a fault
	// proves nothing.
	leastBefore   = 20
	leastInFlight = 2
	manyWriters   = 200
	// calm is the mean pause of a writer where not one call may fail: two cores are then
	// not the fault that is looked for.
	calm = 1500 * time.Millisecond
)

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
}

// newGround makes a stack ready: its people, its warm pools, its level before any fault.
func newGround(t *testing.T, s *stack, admin string) *ground {
	t.Helper()
	g := &ground{s: s, admin: admin}
	g.settle(t).memory(t, "idle")
	g.cast, g.ledger = casting(t, s), newLedger(t, s)
	g.run(t, 0, harm{victim: "service-ticket", after: time.Second, strike: func(testing.TB, *history, *rand.Rand) {}})
	g.before = g.settle(t)
	return g
}

// fault is one experiment.
type harm struct {
	// victim is the service whose load is counted before strike is called.
	victim string
	// strike does the harm and undoes it.
	strike func(t testing.TB, h *history, rng *rand.Rand)
	// harmless: not one call may fail.
	harmless bool
	// writers work at once, manyWriters unless given.
	writers int
	// pause is the mean time between two calls of one writer.
	pause time.Duration
	// after is how long the load goes on after strike.
	after time.Duration
}

// tries is how often an experiment is made anew when the machine is too busy for it.
const tries = 3

// run makes one experiment with load before, during and after it, and checks everything.
func (g *ground) run(t *testing.T, seed uint64, f harm) {
	t.Helper()
	for n := 1; ; n++ {
		worst := g.pulse(t)
		h, struck, failed := g.once(t, seed, f)
		late := worst()
		if f.harmless && failed > 0 {
			if late < pulseLimit && !h.starved(struck) {
				t.Errorf("%d attempts failed where none may", failed)
			} else if n < tries {
				t.Logf("void, once more: the machine was too busy; a bare commit took %v", late)
				continue
			} else {
				t.Errorf("void: the machine was too busy each time; a bare commit took %v", late)
			}
		}
		break
	}
	if g.before.programs != nil {
		g.leveled(t)
	}
}

// once gives the history, the moment of the fault, and how many attempts of the load failed.
func (g *ground) once(t *testing.T, seed uint64, f harm) (h *history, struck time.Time, failed int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	h = newHistory(t, g.s)
	c := g.cast
	for range customersOfRun {
		c.customers = append(c.customers, newCustomerAt(t, g.s))
	}
	for range answersMax {
		c.guests = append(c.guests, newGuestAt(t, g.s))
	}
	after := g.ledger.positions()
	l := startLoad(h, c, seed, cmp.Or(f.writers, manyWriters), f.pause)
	l.reached(t, f.victim, leastBefore)
	time.Sleep(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
	l.flying(t, f.victim, leastInFlight)
	struck = time.Now()
	f.strike(t, h, rng)
	time.Sleep(f.after)
	l.end()
	failed = h.failed // no call is under way
	t.Logf("seed %d: %d things, %s", seed, len(l.things), h.summary())
	began := time.Now()
	(&check{h: h, c: c, ledger: g.ledger, after: after, seed: seed}).run(t, l.things)
	t.Logf("checked in %v", time.Since(began).Round(100*time.Millisecond))
	h.report(t)
	h.client.CloseIdleConnections()
	return h, struck, failed
}

// pid is that of a replica now.
func (g *ground) pid(t testing.TB, service string, replica int) int {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		st, err := g.s.state()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range st.Programs {
			if p.Name == service && p.Replica == replica && p.PID != 0 {
				return p.PID
			}
		}
	}
	t.Fatalf("%s-%d does not run", service, replica)
	return 0
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
