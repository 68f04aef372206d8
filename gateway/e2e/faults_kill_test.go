//go:build faults

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	// customersOfRun share the load's tickets and complaints.
	customersOfRun = 30
	// leastBefore and leastInFlight are the load on the victim without which a fault
	// proves nothing.
	leastBefore   = 40
	leastInFlight = 3
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
}

func newGround(t *testing.T, s *stack) *ground {
	t.Helper()
	return &ground{s: s, cast: casting(t, s), ledger: newLedger(t, s)}
}

// fault is one experiment.
type fault struct {
	// victim is the service whose load is counted; writes is how many it must have
	// acknowledged before strike is called.
	victim string
	writes int
	// strike does the harm and undoes it.
	strike func(t *testing.T, h *history, rng *rand.Rand)
	// harmless: not one call may fail.
	harmless bool
	// after is how long the load goes on after strike.
	after time.Duration
}

// run makes one experiment with load before, during and after it, and checks everything.
func (g *ground) run(t *testing.T, seed uint64, f fault) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	h := newHistory(t, g.s)
	c := g.cast
	for range customersOfRun {
		c.customers = append(c.customers, newCustomerAt(t, g.s))
	}
	after := g.ledger.positions()
	l := startLoad(h, c, seed)
	l.reached(t, f.victim, f.writes)
	f.strike(t, h, rng)
	h.faultEnded()
	time.Sleep(f.after)
	l.end()
	t.Logf("seed %d: %d things, %s", seed, len(l.things), h.summary())
	if f.harmless && h.failed > 0 {
		t.Errorf("%d attempts failed where none may", h.failed)
	}
	began := time.Now()
	(&check{s: g.s, h: h, c: c, ledger: g.ledger, after: after, seed: seed}).run(t, l.things)
	t.Logf("checked in %v", time.Since(began).Round(100*time.Millisecond))
	h.report(t)
}

// pid is that of a replica now.
func (g *ground) pid(t testing.TB, service string, replica int) int {
	t.Helper()
	st, err := g.s.state()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Programs {
		if p.Name == service && p.Replica == replica && p.PID != 0 {
			return p.PID
		}
	}
	t.Fatalf("%s-%d does not run", service, replica)
	return 0
}

// flying fails as void when the fault would meet too little.
func flying(t testing.TB, h *history, service string) {
	t.Helper()
	if _, n := h.count(service); n < leastInFlight {
		t.Errorf("void: %d calls of %s were in flight at the fault", n, service)
	}
}

func signal(t testing.TB, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal %v to %d: %v", s, pid, err)
	}
}

// TestFaultsKillOne kills a service that has one replica; the stack starts it again.
func TestFaultsKillOne(t *testing.T) {
	g := newGround(t, suite)
	for _, service := range serviceNames() {
		for _, seed := range seeds(t) {
			t.Run(fmt.Sprintf("%s/%d", service, seed), func(t *testing.T) { g.kill(t, service, seed, false) })
		}
	}
}

func (g *ground) kill(t *testing.T, service string, seed uint64, harmless bool) {
	g.run(t, seed, fault{victim: service, writes: leastBefore / 2, harmless: harmless, after: 2 * time.Second,
		strike: func(t *testing.T, h *history, rng *rand.Rand) {
			time.Sleep(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
			flying(t, h, service)
			signal(t, g.pid(t, service, 1), syscall.SIGKILL)
		}})
}
