//go:build faults

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

const (
	// customersOfRun share the load's tickets and complaints.
	customersOfRun = 30
	// leastBefore and leastInFlight are the load on the victim without which a fault
	// proves nothing; as many writes are made afterwards.
	leastBefore   = 20
	leastInFlight = 2
	// manyWriters work at once; in a crowd at least half of them wait for an answer in the
	// moment of the fault.
	manyWriters = 200
	// calm is the mean pause of a writer: two cores are then not the fault that is looked
	// for. Without pauses 200 writers keep two cores busy so that a call takes 0.7 s on the
	// median and 5 s at times without any fault, and a service three seconds to come back.
	calm = 3 * time.Second
	// settleWithin bounds the time from the end of a fault to the victim's answers.
	settleWithin = 30 * time.Second
	// flyWithin bounds the wait for a moment in which calls enough are in flight.
	flyWithin = 20 * time.Second
	// tries is how often a strike is made when the machine is too busy for it, each time
	// with half the load. 200 writers that pause 7.5 s lost not one call on two cores of
	// which others used four fifths, where those that pause 1.5 s lost some without any
	// fault.
	tries = 4
)

// strike is one fault.
type strike struct {
	name string
	// victim is the service whose load is counted before and after.
	victim string
	// harm does the harm and undoes it.
	harm func(t testing.TB, h *history, rng *rand.Rand)
	// harmless: not one call may fail.
	harmless bool
	// crowd: all writers write without pause until the fault, half of them or more are then
	// waiting for an answer.
	crowd bool
}

// run makes one strike after another under one load, and checks everything when all is
// quiet.
func (g *ground) run(t *testing.T, seed uint64, strikes ...strike) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	h := newHistory(t, g.s)
	c := g.cast
	for range customersOfRun {
		c.customers = append(c.customers, newCustomerAt(t, g.s))
	}
	after := g.ledger.positions()
	began := time.Now()
	p := g.pulse(t)
	g.machine = p
	l := startLoad(h, c, seed, manyWriters, calm)
	t.Cleanup(l.end) // also after a strike that ended the test
	for _, s := range strikes {
		g.strike(t, l, p, s, rng)
	}
	l.end()
	t.Logf("seed %d: %d things in %v, %s", seed, len(l.things), time.Since(began).Round(100*time.Millisecond), h.summary())
	h.inTime(t, p)
	p.stop()
	began = time.Now()
	(&check{g: g, h: h, c: c, ledger: g.ledger, after: after, seed: seed}).run(t, l.things)
	t.Logf("checked in %v", time.Since(began).Round(100*time.Millisecond))
	if len(h.wrong) > 0 {
		g.excerpt(t, h, p, h.involved(), time.Time{})
		h.report(t)
	}
	h.client.CloseIdleConnections()
}

// strike makes one fault, anew when the machine was too busy to tell what it did.
func (g *ground) strike(t *testing.T, l *load, p *pulse, s strike, rng *rand.Rand) {
	t.Helper()
	if l.mean > calm {
		l.hurry() // nobody sleeps on for as long as they were told
		l.pace(calm)
	}
	for n := 1; ; n++ {
		ready := time.Now()
		l.acked(t, s.victim, leastBefore)
		if s.crowd {
			l.hurry()
		}
		time.Sleep(time.Duration(rng.Int64N(int64(500 * time.Millisecond)))) // the random moment
		l.flying(t, s)
		if s.crowd {
			l.relax()
		}
		struck := l.h.happened("%s", s.name)
		s.harm(t, l.h, rng)
		healed := l.h.happened("%s is over", s.name)
		l.acked(t, s.victim, leastBefore)
		l.h.ended(healed)
		failed := l.h.failedSince(struck)
		if g.before.programs != nil {
			l.hush(t, func() { g.leveled(t, g.before, s.name) })
		}
		if !s.harmless || len(failed) == 0 {
			return
		}
		problem := fmt.Sprintf("%s: attempts of %d calls failed where none may", s.name, len(failed))
		why := p.busy(struck, time.Now())
		if why == "" && l.h.starved(ready, struck) {
			why = "calls were as slow before"
		}
		if why != "" && n < tries {
			t.Logf("void, once more with half the load: %s, but %s", problem, why)
			l.pace(2 * l.mean)
			continue
		}
		g.excerpt(t, l.h, p, failed, struck)
		if why != "" {
			t.Logf("void each time, it proves nothing: %s, but %s", problem, why)
			return
		}
		t.Error(problem)
		return
	}
}
