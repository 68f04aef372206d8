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

func (g *ground) kill(t *testing.T, service string, seed uint64, f harm) {
	f.victim, f.after = service, 2*time.Second
	f.strike = func(t testing.TB, _ *history, _ *rand.Rand) { signal(t, g.pid(t, service, 1), syscall.SIGKILL) }
	g.run(t, seed, f)
}

func (g *ground) hang(t *testing.T, seed uint64) {
	service := serviceOf(seed)
	g.run(t, seed, harm{victim: service, pause: calm, after: 2 * time.Second, strike: func(t testing.TB, _ *history, _ *rand.Rand) {
		pid := g.pid(t, service, 1)
		signal(t, pid, syscall.SIGSTOP)
		time.Sleep(hang)
		signal(t, pid, syscall.SIGCONT)
	}})
}

// TestFaultsOne makes faults on a stack with one replica of each service.
func TestFaultsOne(t *testing.T) {
	g := newGround(t, suite, privatePostgres(t, suite.dir))
	for _, service := range serviceNames() {
		each(t, "kill/"+service, func(t *testing.T, seed uint64) { g.kill(t, service, seed, harm{}) })
	}
	each(t, "hang", g.hang)
	each(t, "postgres", g.restartPostgres)
	g.settle(t).memory(t, "afterwards")
}

// restartPostgres ends Postgres in turn by a fast shutdown and without one; the stack
// starts it again.
func (g *ground) restartPostgres(t *testing.T, seed uint64) {
	how := []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}[seed%2]
	g.run(t, seed, harm{victim: serviceOf(seed), after: 5 * time.Second, strike: func(t testing.TB, h *history, _ *rand.Rand) {
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
		back := g.answers(t, pid)
		h.faultEnded()
		t.Cleanup(func() { h.servedWithin(t, back, 5*time.Second) })
	}})
}

// answers waits for a Postgres other than the one that was ended.
func (g *ground) answers(t testing.TB, old int) time.Time {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
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
			return time.Now()
		}
	}
	t.Fatal("Postgres did not come back within 30 s")
	return time.Time{}
}

// servedWithin checks when each service gave its first answer after faultEnded.
func (h *history) servedWithin(t testing.TB, since time.Time, limit time.Duration) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, service := range serviceNames() {
		first, ok := h.healed[service]
		if !ok || first.Sub(since) > limit {
			t.Errorf("%s served again %v after Postgres did, more than %v", service, first.Sub(since), limit)
			continue
		}
		t.Logf("%s served again after %v", service, first.Sub(since).Round(time.Millisecond))
	}
}

// TestFaultsTwo makes faults on a stack with two replicas of each service.
func TestFaultsTwo(t *testing.T) {
	p := startPair(t)
	for _, service := range serviceNames() {
		each(t, "kill/"+service, func(t *testing.T, seed uint64) {
			p.kill(t, service, seed, harm{pause: calm, harmless: true})
		})
	}
	each(t, "hang", p.hang)
	each(t, "etcd stopped", func(t *testing.T, seed uint64) {
		p.run(t, seed, harm{victim: serviceOf(seed), harmless: true, pause: 2 * calm, after: 2 * time.Second,
			strike: func(testing.TB, *history, *rand.Rand) {
				p.etcd.Stop()
				time.Sleep(20 * time.Second)
				p.etcd.Restart()
			}})
	})
	each(t, "etcd wiped", func(t *testing.T, seed uint64) {
		p.run(t, seed, harm{victim: serviceOf(seed), harmless: true, pause: calm, after: 8 * time.Second,
			strike: func(testing.TB, *history, *rand.Rand) { p.etcd.Wipe() }})
	})
	each(t, "commit lost", p.loseCommits)
	each(t, "silence", func(t *testing.T, seed uint64) {
		p.run(t, seed, harm{victim: serviceOf(seed), pause: calm, after: 3 * time.Second,
			strike: func(testing.TB, *history, *rand.Rand) {
				p.proxy.Silence()
				time.Sleep(4 * time.Second)
				p.proxy.Heal()
			}})
	})
	p.settle(t).memory(t, "afterwards")
}

// loseCommits cuts connections of every service after a COMMIT was sent, whether a
// call's, the sequencer's or a consumer's.
func (p *pair) loseCommits(t *testing.T, seed uint64) {
	const times = 4
	p.run(t, seed, harm{victim: serviceOf(seed), pause: calm, after: time.Second, strike: func(t testing.TB, _ *history, rng *rand.Rand) {
		for range times {
			for _, service := range serviceNames() {
				database := strings.ReplaceAll(service, "-", "_")
				done := p.proxy.LoseCommit(func(s faultproxy.Session) bool { return s.Database == database }, rng.IntN(20))
				select {
				case <-done:
				case <-time.After(10 * time.Second):
					t.Fatalf("void: no commit of %s within 10 s", service)
				}
			}
		}
	}})
}
