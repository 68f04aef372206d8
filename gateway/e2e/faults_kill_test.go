//go:build faults

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/testkit/faultproxy"
)

// hang is longer than a lease in etcd.
const hang = 8 * time.Second

// each runs an experiment for every seed.
func each(t *testing.T, name string, experiment func(t *testing.T, seed uint64)) {
	t.Helper()
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { experiment(t, seed) })
	}
}

func serviceOf(seed uint64) string { return serviceNames()[seed%uint64(len(serviceNames()))] }

// kill ends a replica as a machine that dies does.
func (g *ground) kill(service string) strike {
	return strike{name: "kill " + service, victim: service, harm: func(t testing.TB, h *history, _ *rand.Rand) {
		pid := g.pid(t, service, 1)
		signal(t, pid, syscall.SIGKILL)
		g.restarted(t, h, service, 1, pid)
	}}
}

// kills ends each service once, in an order of the seed's.
func (g *ground) kills(seed uint64, each func(*strike)) (strikes []strike) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for _, i := range rng.Perm(len(serviceNames())) {
		s := g.kill(serviceNames()[i])
		each(&s)
		strikes = append(strikes, s)
	}
	return strikes
}

// hang stops a process for longer than its lease lasts and lets it go on.
func (g *ground) hang(service string) strike {
	return strike{name: "hang " + service, victim: service, harm: func(t testing.TB, _ *history, _ *rand.Rand) {
		pid := g.pid(t, service, 1)
		signal(t, pid, syscall.SIGSTOP)
		time.Sleep(hang)
		signal(t, pid, syscall.SIGCONT)
	}}
}

// TestFaultsOne makes faults on a stack with one replica of each service.
func TestFaultsOne(t *testing.T) {
	g := newGround(t, suite, privatePostgres(t, suite.dir))
	each(t, "one replica", func(t *testing.T, seed uint64) {
		strikes := g.kills(seed, func(s *strike) { s.crowd = true })
		g.run(t, seed, append(strikes, g.hang(serviceOf(seed)), g.restartPostgres(seed))...)
	})
	g.settle(t).memory(t, "afterwards")
}

// restartPostgres ends Postgres in turn by a fast shutdown and without one; the stack
// starts it again.
func (g *ground) restartPostgres(seed uint64) strike {
	how := []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}[seed%2]
	return strike{name: fmt.Sprintf("restart Postgres by %v", how), victim: serviceOf(seed), harm: func(t testing.TB, h *history, _ *rand.Rand) {
		raw, err := os.ReadFile(filepath.Join(g.s.dir, "postgres", "data", "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(raw), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		signal(t, pid, how)
		g.answers(t, pid)
		h.faultEnded()
		g.servedWithin(t, h, h.happened("Postgres answers"), 5*time.Second)
	}}
}

// answers waits for a Postgres other than the one that was ended.
func (g *ground) answers(t testing.TB, old int) {
	t.Helper()
	for deadline := time.Now().Add(startWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(old, 0) == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		conn, err := pgx.Connect(ctx, g.admin)
		if err == nil {
			_ = conn.Close(ctx) // it has answered
		}
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("Postgres did not come back within %v", startWithin)
}

// servedWithin waits for the first answer of each service after faultEnded and checks that
// it came in time, unless others had the machine.
func (g *ground) servedWithin(t testing.TB, h *history, since time.Time, limit time.Duration) {
	t.Helper()
	for _, service := range serviceNames() {
		for first := (time.Time{}); first.IsZero(); time.Sleep(5 * time.Millisecond) {
			h.mu.Lock()
			first = h.healed[service]
			h.mu.Unlock()
			took := time.Since(since)
			if !first.IsZero() {
				took = first.Sub(since)
				h.happened("%s served again after %v", service, took.Round(time.Millisecond))
			}
			if took > limit && g.machine.busy(since, time.Now()) == "" {
				t.Errorf("%s did not serve %v after Postgres did, more than %v", service, took, limit)
				break
			}
			if took > settleWithin {
				t.Fatalf("%s did not serve %v after Postgres did", service, took)
			}
		}
	}
}

// TestFaultsTwo makes faults on a stack with two replicas of each service. A hung replica,
// a silent or broken connection to Postgres may cost calls an attempt; what one replica's
// death and etcd's may not cost is any.
func TestFaultsTwo(t *testing.T) {
	p := startPair(t)
	each(t, "two replicas", func(t *testing.T, seed uint64) {
		strikes := p.kills(seed, func(s *strike) { s.harmless = true })
		p.run(t, seed, append(strikes, p.stopEtcd(seed), p.wipeEtcd(seed),
			p.hang(serviceOf(seed+1)), p.loseCommits(seed), p.silence(seed))...)
	})
	p.settle(t).memory(t, "afterwards")
}

func (p *pair) stopEtcd(seed uint64) strike {
	return strike{name: "stop etcd for 20 s", victim: serviceOf(seed), harmless: true, harm: func(testing.TB, *history, *rand.Rand) {
		p.etcd.Stop()
		time.Sleep(20 * time.Second)
		p.etcd.Restart()
	}}
}

// wipeEtcd replaces etcd by an empty one and lets the load go on for longer than the
// endpoints known before are kept.
func (p *pair) wipeEtcd(seed uint64) strike {
	return strike{name: "wipe etcd", victim: serviceOf(seed), harmless: true, harm: func(testing.TB, *history, *rand.Rand) {
		p.etcd.Wipe()
		time.Sleep(12 * time.Second)
	}}
}

// silence lets nothing through to Postgres or back, and closes nothing.
func (p *pair) silence(seed uint64) strike {
	return strike{name: "silence of Postgres", victim: serviceOf(seed), harm: func(testing.TB, *history, *rand.Rand) {
		p.proxy.Silence()
		time.Sleep(4 * time.Second)
		p.proxy.Heal()
	}}
}

// loseCommits cuts connections of every service after a COMMIT was sent, whether a
// call's, the sequencer's or a consumer's.
func (p *pair) loseCommits(seed uint64) strike {
	const times = 4
	return strike{name: "lose answers to commits", victim: serviceOf(seed), harm: func(t testing.TB, h *history, rng *rand.Rand) {
		for range times {
			for _, service := range serviceNames() {
				database := strings.ReplaceAll(service, "-", "_")
				done := p.proxy.LoseCommit(func(s faultproxy.Session) bool { return s.Database == database }, rng.IntN(20))
				select {
				case <-done:
					h.happened("a commit of %s lost its answer", service)
				case <-time.After(10 * time.Second):
					t.Fatalf("void: no commit of %s within 10 s", service)
				}
			}
		}
	}}
}
