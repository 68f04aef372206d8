package pg_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// taken notes what is written, and holds each write until it is let go.
type taken struct {
	mu   sync.Mutex
	sets [][]int
	hold chan error
}

func (w *taken) write(_ context.Context, items []int) error {
	w.mu.Lock()
	w.sets = append(w.sets, slices.Clone(items))
	w.mu.Unlock()
	return <-w.hold
}

func TestGatherWritesTogetherWhatComesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &taken{hold: make(chan error)}
		g := pg.NewGather(1, 1000, w.write)
		done := make(chan error, 10)
		do := func(n int) { go func() { done <- g.Do(t.Context(), n) }(); synctest.Wait() }
		for n := range 5 {
			do(n)
		}
		if len(done) != 0 {
			t.Fatal("a caller went on before its item was committed")
		}
		w.hold <- nil
		synctest.Wait()
		if len(done) != 1 {
			t.Fatalf("%d callers went on after the first commit", len(done))
		}
		do(5) // the next one is under way
		w.hold <- nil
		w.hold <- nil
		for range 6 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if want := [][]int{{0}, {1, 2, 3, 4}, {5}}; !slices.EqualFunc(w.sets, want, slices.Equal) {
			t.Errorf("written %v, want %v", w.sets, want)
		}
		do(6) // nothing is under way: it begins anew
		w.hold <- nil
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnItemThatIsRefusedFailsAlone(t *testing.T) {
	bad := errors.New("bad")
	for name, c := range map[string]struct {
		refuse func() error
		is     func(error) bool
	}{
		"by an error": {func() error { return bad }, func(err error) bool { return errors.Is(err, bad) }},
		"by a panic": {func() error { panic("three") }, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "panic in a gathered write: three")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := make(chan struct{})
				g := pg.NewGather(1, 1000, func(_ context.Context, items []int) error {
					<-first
					if slices.Contains(items, 3) {
						return c.refuse()
					}
					return nil
				})
				errs := make([]error, 6)
				var wg sync.WaitGroup
				for n := range errs {
					wg.Go(func() { errs[n] = g.Do(t.Context(), n) })
					synctest.Wait()
				}
				close(first)
				wg.Wait()
				for n, err := range errs {
					if n == 3 && !c.is(err) || n != 3 && err != nil {
						t.Errorf("item %d: %v", n, err)
					}
				}
			})
		})
	}
}

func TestACallerMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &taken{hold: make(chan error)}
		g := pg.NewGather(1, 1000, w.write)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Do(ctx, 1) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("left with %v", err)
		}
		w.hold <- nil // what it wanted is written all the same
		synctest.Wait()
		if len(w.sets) != 1 {
			t.Errorf("written %v", w.sets)
		}
	})
}

func TestGatherKeepsToItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &taken{hold: make(chan error)}
		g := pg.NewGather(2, 3, w.write)
		done := make(chan error, 9)
		for n := range 9 {
			go func() { done <- g.Do(t.Context(), n) }()
			synctest.Wait()
		}
		for range 5 {
			w.hold <- nil
			synctest.Wait()
		}
		for range 9 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if want := [][]int{{0}, {1}, {2, 3, 4}, {5, 6, 7}, {8}}; !slices.EqualFunc(w.sets, want, slices.Equal) {
			t.Errorf("written %v, want %v", w.sets, want)
		}
	})
}
