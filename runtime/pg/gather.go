package pg

import (
	"context"
	"fmt"
	"runtime/debug"
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

	parallel, most int

	mu      sync.Mutex
	waiting []*gathered[T] // the last may have room
	busy    int            // how many transactions are under way
}

type gathered[T any] struct {
	items []T
	done  chan struct{}
	errs  []error // one an item, once done is closed
}

// NewGather makes one of which at most parallel transactions, of at most so many items, are
// under way at a time. write must commit all items in one transaction, or fail and commit
// none.
func NewGather[T any](parallel, most int, write func(ctx context.Context, items []T) error) *Gather[T] {
	return &Gather[T]{parallel: parallel, most: most, write: write}
}

// Do has the item written and returns nil once it is committed. Any error means that this is
// not certain: that of write, or that of ctx, after whose end the item may still be committed.
// An item that the database refuses fails alone: those that met it are then written one by one.
func (g *Gather[T]) Do(ctx context.Context, item T) error {
	g.mu.Lock()
	if n := len(g.waiting); n == 0 || len(g.waiting[n-1].items) == g.most {
		g.waiting = append(g.waiting, &gathered[T]{done: make(chan struct{})})
	}
	mine := g.waiting[len(g.waiting)-1]
	at := len(mine.items)
	mine.items = append(mine.items, item)
	if g.busy < g.parallel {
		g.busy++
		go g.run()
	}
	g.mu.Unlock()
	select {
	case <-mine.done:
		return mine.errs[at]
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run writes until nobody waits.
func (g *Gather[T]) run() {
	for {
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.busy--
			g.mu.Unlock()
			return
		}
		now := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.mu.Unlock()
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

func (g *Gather[T]) once(items []T) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), gatherLimit)
	defer cancel()
	// No handler's guard stands around it.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a gathered write: %v\n%s", r, debug.Stack())
		}
	}()
	return g.write(ctx, items)
}
