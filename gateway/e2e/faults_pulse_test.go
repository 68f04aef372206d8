//go:build faults

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	pulseEvery = 20 * time.Millisecond
	// pulseLimit is the lateness at which the machine, and not the suite, is what makes
	// calls fail: half of what one try may take.
	pulseLimit = 500 * time.Millisecond
)

// pulse commits a transaction of its own again and again, past the suite and past every
// proxy, and tells how late the worst one was: what the machine itself made everybody wait.
func (g *ground) pulse(t testing.TB) (worst func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := pgx.Connect(ctx, g.admin)
	if err != nil {
		t.Fatal(err)
	}
	late := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for ctx.Err() == nil {
			due := time.Now().Add(pulseEvery)
			time.Sleep(pulseEvery)
			// An id makes it a transaction whose commit is flushed to disk.
			if _, err := conn.Exec(ctx, `SELECT txid_current()`); err == nil {
				most = max(most, time.Since(due))
			}
		}
		_ = conn.Close(context.WithoutCancel(ctx)) // it is given up either way
		late <- most
	}()
	return func() time.Duration { cancel(); return <-late }
}
