package pg

import (
	"context"
	"sync"
	"time"
)

// gatherLimit bounds one transaction of a Gather, whose callers may all have gone.
const gatherLimit = 10 * time.Second

// Gather commits together what concurrent callers want written: while one transaction is
// under way the items of the next gather, so that a caller alone waits for nobody and many
// share the price of a commit. It is for small records that no caller reads back and that
// may be written although their caller has gone; what a call decides belongs in its own
// transaction. It is safe for concurrent use.
type Gather[T any] struct {
	write func(ctx context.Context, items []T) error

	mu   sync.Mutex
	next *gathered[T] // nil while nobody waits
	busy bool         // somebody writes
}

type gathered[T any] struct {
	items []T
	done  chan struct{}
	errs  []error // one an item, once done is closed
}

// NewGather makes one. write must commit all items in one transaction, or fail and commit
// none.
func NewGather[T any](write func(ctx context.Context, items []T) error) *Gather[T] {
	return &Gather[T]{write: write}
}

// Begin has the item written and returns what waits for it: nil once the item is committed.
// Any error means that this is not certain: that of write, or that of ctx, after whose end the
// item may still be committed. An item that the database refuses fails alone: those that met
// it are then written one by one.
func (g *Gather[T]) Begin(item T) (wait func(ctx context.Context) error) {
	g.mu.Lock()
	if g.next == nil {
		g.next = &gathered[T]{done: make(chan struct{})}
	}
	mine, at := g.next, len(g.next.items)
	mine.items = append(mine.items, item)
	if !g.busy {
		g.busy = true
		go g.run()
	}
	g.mu.Unlock()
	return func(ctx context.Context) error {
		select {
		case <-mine.done:
			return mine.errs[at]
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Do has the item written and waits for it.
func (g *Gather[T]) Do(ctx context.Context, item T) error { return g.Begin(item)(ctx) }

// run writes until nobody waits.
func (g *Gather[T]) run() {
	for {
		g.mu.Lock()
		now := g.next
		g.next, g.busy = nil, now != nil
		g.mu.Unlock()
		if now == nil {
			return
		}
		now.errs = g.commit(now.items)
		close(now.done)
	}
}

func (g *Gather[T]) commit(items []T) []error {
	errs := make([]error, len(items))
	err := g.once(items)
	switch {
	case err == nil:
	case len(items) == 1 || Unavailable(err):
		for i := range errs {
			errs[i] = err
		}
	default:
		for i := range items {
			errs[i] = g.once(items[i : i+1])
		}
	}
	return errs
}

func (g *Gather[T]) once(items []T) error {
	ctx, cancel := context.WithTimeout(context.Background(), gatherLimit)
	defer cancel()
	return g.write(ctx, items)
}
