package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// taskGrace bounds the end of background work: it is told by its context.
const taskGrace = 10 * time.Second

// task is one piece of background work.
type task struct {
	name string
	work func(context.Context) error
}

// tasks runs background work from start to stop.
type tasks struct {
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // the life of the process is what it is about
	cancel context.CancelFunc
	failed chan error
	done   sync.WaitGroup

	mu      sync.Mutex
	started bool
	waiting []task
}

func newTasks(log *slog.Logger) *tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &tasks{log: log, ctx: ctx, cancel: cancel, failed: make(chan error, 1)}
}

// add runs the task, from the start on if that is still to come.
func (t *tasks) add(w task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started {
		t.waiting = append(t.waiting, w)
		return
	}
	t.run(w)
}

func (t *tasks) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started = true
	for _, w := range t.waiting {
		t.run(w)
	}
	t.waiting = nil
}

func (t *tasks) run(w task) {
	t.done.Go(func() {
		err := w.work(t.ctx)
		if err == nil || (t.ctx.Err() != nil && errors.Is(err, context.Canceled)) {
			return
		}
		t.fail(fmt.Errorf("%s: %w", w.name, err))
	})
}

// fail makes the process stop; the first failure is its reason.
func (t *tasks) fail(err error) {
	select {
	case t.failed <- err:
	default:
		t.log.Error("background work failed", "error", err)
	}
}

// stop ends all work. What has not ended within grace is left behind and named so.
func (t *tasks) stop(grace time.Duration) error {
	t.cancel()
	done := make(chan struct{})
	go func() { t.done.Wait(); close(done) }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("background work did not end within %s", grace)
	}
}
