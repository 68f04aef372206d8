package write_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
)

const crowdCallers = 50

// Fifty callers make the same calls through two replicas whose database sessions are
// killed on the way, and repeat what was left open: every key has one effect and one
// answer.
func TestCrowdOfRepeatedCalls(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			other, err := pg.Open(t.Context(), pg.Config{URL: db.DSN, MaxConns: 10})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			paths := []*write.Path{newPath(t, db.Pool, func() {}), newPath(t, other, func() {})}
			kills, calm := killSessions(t, db)
			answers, repeats := make([]sync.Map, crowdKeys), new(atomic.Int64)
			var group sync.WaitGroup
			for caller := range crowdCallers {
				group.Go(func() {
					for k := range crowdKeys {
						req := newRequest(t, fmt.Sprint("key ", k), "a")
						for try := 0; ; try++ {
							answer, err := door(by("someone", create), paths[(caller+try)%2], req)
							if err == nil {
								answers[k].Store(answer.GetValue(), true)
								break
							}
							if public := new(rpcerr.Error); !errors.As(err, &public) || public.Code() != codes.Unavailable || try > 200 {
								t.Errorf("key %d: %v", k, err)
								return
							}
							repeats.Add(1)
						}
					}
				})
			}
			group.Wait()
			calm()
			t.Logf("%d calls, %d repeated, %d sessions killed", crowdCallers*crowdKeys, repeats.Load(), kills.Load())
			if kills.Load() == 0 {
				t.Error("nothing was disturbed, so this test shows nothing")
			}
			for k := range answers {
				n := 0
				answers[k].Range(func(any, any) bool { n++; return true })
				if n != 1 {
					t.Errorf("key %d has %d answers", k, n)
				}
			}
			checkEffects(t, db, crowdKeys)
		})
	}
}

// killSessions ends sessions that are in the middle of something, again and again.
func killSessions(t *testing.T, db *testkit.DB) (kills *atomic.Int64, stop func()) {
	t.Helper()
	kills = new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			var n int64
			err := db.Pool.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM (
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user
    AND state <> 'idle' AND pid <> pg_backend_pid() LIMIT 2) AS busy`).Scan(&n)
			if err != nil && ctx.Err() == nil && !pg.Unavailable(err) {
				t.Errorf("kill sessions: %v", err)
			}
			kills.Add(n)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return kills, func() { cancel(); <-done }
}
