//go:build faults

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/crash"
)

// dieWithin is how long the load may take to bring a service to the point.
const dieWithin = 15 * time.Second

// TestFaultsCrashPoints lets services die at every point of their work at which what
// they have done and what others know of it differ.
func TestFaultsCrashPoints(t *testing.T) {
	bin, dir := crashingPrograms(t), filepath.Join(filepath.Dir(suite.dir), "crash")
	s, err := start(bin, dir)
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
	g := newGround(t, s, privatePostgres(t, dir))
	each(t, "crash points", func(t *testing.T, seed uint64) {
		var strikes []strike
		for i, point := range crash.Points() {
			strikes = append(strikes, g.crash(serviceOf(seed+uint64(i)), point))
		}
		g.run(t, seed, strikes...)
	})
}

// crash lets a service die at the n-th pass of a point.
func (g *ground) crash(service string, point crash.Point) strike {
	return strike{name: fmt.Sprintf("%s dies %s", service, point), victim: service, harm: func(t testing.TB, h *history, rng *rand.Rand) {
		pid, n := g.pid(t, service, 1), 1+rng.IntN(10)
		if g.die(t, service, point, n) {
			h.happened("it died at the pass number %d", n)
			g.restarted(t, h, service, 1, pid)
		}
	}}
}

// die orders a service to die at the n-th pass of a point and waits until it has.
func (g *ground) die(t testing.TB, service string, point crash.Point, n int) bool {
	t.Helper()
	order := filepath.Join(g.s.dir, "crash-"+service)
	// The file must appear with all it holds.
	if err := os.WriteFile(order+".new", fmt.Appendf(nil, "%s %d\n", point, n), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(order+".new", order); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(dieWithin); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(order); errors.Is(err, fs.ErrNotExist) {
			return true
		}
		if time.Now().After(deadline) {
			_ = os.Remove(order) // it may die now
			t.Errorf("void: %s did not pass %s %d times within %v", service, point, n, dieWithin)
			return false
		}
	}
}

// crashingPrograms builds the services so that they can be made to die.
func crashingPrograms(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(filepath.Dir(suite.bin), "bin-crash")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-tags", "crash", "-o", bin+"/",
		"./services/customer-registry", "./services/service-ticket", "./services/complaint", "./services/survey", "./gateway", "./deploy/kefuctl")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}
