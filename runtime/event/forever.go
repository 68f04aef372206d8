package event

import (
	"context"
	"log/slog"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffLast  = 5 * time.Second
)

func newBackoff() retry.Backoff {
	return retry.WithJitterPercent(20, retry.WithCappedDuration(backoffLast, retry.NewExponential(backoffFirst)))
}

// forever runs work again after each end until ctx ends. work calls healthy once it gets
// on, which makes the next pause short again.
func forever(ctx context.Context, log *slog.Logger, what string, work func(ctx context.Context, healthy func()) error) error {
	backoff := newBackoff()
	for {
		err := work(ctx, func() { backoff = newBackoff() })
		if ctx.Err() != nil {
			return nil
		}
		log.WarnContext(ctx, what+" interrupted", "error", describe(err))
		if !pause(ctx, backoff) {
			return nil
		}
	}
}

// pause waits for the next step of the backoff; false means that ctx ended.
func pause(ctx context.Context, backoff retry.Backoff) bool {
	wait, _ := backoff.Next()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// describe is what may stand in logs and rows of an error: nothing that Postgres quoted.
func describe(err error) string {
	switch {
	case err == nil:
		return "ended"
	case pg.Code(err) != "" || pg.Unavailable(err):
		return pg.Describe(err)
	}
	return err.Error()
}
