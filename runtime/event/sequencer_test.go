package event_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func begin(t *testing.T, db *testkit.DB) pgx.Tx {
	t.Helper()
	tx, err := db.Pool.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func positionOf(t *testing.T, db *testkit.DB, id uuid.UUID, version int64) int64 {
	t.Helper()
	return scalar[int64](t, db.Pool, `SELECT coalesce(position, 0) FROM event_outbox WHERE subject_id = $1 AND subject_version = $2`, id, version)
}

// A transaction that wrote elsewhere first has the older transaction id and overtakes
// under an order by transaction id, although it changed the thing later.
func TestOrderIsNotThatOfTransactionIDs(t *testing.T) {
	db, ctx, thing := database(t), t.Context(), uuid.New()
	older := begin(t, db)
	_, err := older.Exec(ctx, `INSERT INTO elsewhere VALUES (1)`)
	must(t, err)
	commitChange(t, db, thing) // version 1, by a younger transaction
	must(t, change(ctx, older, thing))
	must(t, older.Commit(ctx)) // version 2

	overtakes := scalar[bool](t, db.Pool, `
SELECT (SELECT xmin::text::bigint FROM event_outbox WHERE subject_version = 2) < (SELECT xmin::text::bigint FROM event_outbox WHERE subject_version = 1)`)
	if !overtakes {
		t.Fatal("the interleaving is not the one this test is about")
	}
	sequence(t, db)
	eventually(t, "both numbered", func() bool { return positionOf(t, db, thing, 2) != 0 })
	checkOrder(t, db, 2)
}

// What was inserted first and commits last gets the last position, and what committed
// before it does not wait.
func TestNothingWaitsForAnOpenTransaction(t *testing.T) {
	db, ctx := database(t), t.Context()
	slow, quick := uuid.New(), uuid.New()
	open := begin(t, db)
	must(t, change(ctx, open, slow))
	commitChange(t, db, quick)
	sequencer, _, _ := sequence(t, db)
	eventually(t, "the committed one is numbered", func() bool { return positionOf(t, db, quick, 1) == 1 })
	must(t, open.Commit(ctx))
	sequencer.Wake()
	eventually(t, "the late one is numbered", func() bool { return positionOf(t, db, slow, 1) == 2 })
}

// pg_snapshot_xmin is that of the whole cluster: a stream that waits for it stops for a
// long transaction in another database.
func TestLongTransactionInAnotherDatabase(t *testing.T) {
	db, other, ctx := database(t), database(t), t.Context()
	long := begin(t, other)
	held := scalar[int64](t, long, `SELECT pg_current_xact_id()::text::bigint`)
	thing := uuid.New()
	commitChange(t, db, thing)
	sequence(t, db)
	eventually(t, "numbered", func() bool { return positionOf(t, db, thing, 1) == 1 })
	stuck := scalar[bool](t, db.Pool, `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint <= $1
  AND (SELECT max(xmin::text::bigint) FROM event_outbox) > $1`, held)
	if !stuck {
		t.Error("the long transaction held nothing up, so this test shows nothing")
	}
	must(t, long.Commit(ctx))
}

// Several sequencers compete while many writers change few things; their leader is killed
// again and again.
func TestDenseUnderWritersAndLeaders(t *testing.T) {
	db := database(t)
	var news atomic.Int64
	var sequencers []*event.Sequencer
	for range 3 {
		s := event.NewSequencer(db.Pool, quiet(), key, func() { news.Add(1) })
		sequencers = append(sequencers, s)
		start(t, s.Run)
	}
	killed := start(t, func(ctx context.Context) error { return killLeaders(ctx, db) })
	subjects := make([]uuid.UUID, 5)
	for i := range subjects {
		subjects[i] = uuid.New()
	}
	const writers, each = 6, 60
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				err := pg.InTx(context.Background(), db.Pool, func(tx pgx.Tx) error {
					return change(context.Background(), tx, subjects[(w+i)%len(subjects)])
				})
				if err != nil {
					t.Error(err)
				}
				sequencers[w%len(sequencers)].Wake()
			}
		})
	}
	group.Wait()
	killed()
	eventually(t, "all numbered and linked", func() bool {
		return scalar[int](t, db.Pool, `SELECT count(position) FROM event_outbox`) == writers*each &&
			scalar[int](t, db.Pool, `SELECT count(*) FROM audit_pending`) == 0
	})
	checkOrder(t, db, writers*each)
	if n, err := audit.Verify(context.Background(), db.Pool, key); n != writers*each || err != nil {
		t.Errorf("Verify = %d, %v; want %d", n, err, writers*each)
	}
	if news.Load() == 0 {
		t.Error("nobody was told of new positions")
	}
}

// killLeaders ends the session of whoever leads, a few times a second.
func killLeaders(ctx context.Context, db *testkit.DB) error {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		_, err := db.Pool.Exec(context.Background(), `
SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted`)
		if err != nil {
			return err
		}
	}
}

// A replica that does not lead tells the leader of its writes, well before the poll.
func TestFollowerWakesLeader(t *testing.T) {
	db := database(t)
	sequence(t, db)
	leads := func() bool {
		return scalar[bool](t, db.Pool, `SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted)`)
	}
	eventually(t, "one leads", leads)
	follower, _, _ := sequence(t, db)
	thing := uuid.New()
	quickest := time.Hour
	// A poll alone needs its whole period of 500 ms each time, because each change is made
	// just after a pass; one of many must be quicker on a busy machine too.
	for n := int64(1); n <= 10; n++ {
		began := time.Now()
		commitChange(t, db, thing)
		follower.Wake()
		eventually(t, "numbered", func() bool { return positionOf(t, db, thing, n) == n })
		quickest = min(quickest, time.Since(began))
	}
	if quickest > 400*time.Millisecond {
		t.Errorf("the quickest of ten took %v: the follower's wake-up does not reach the leader", quickest)
	}
}

func TestEventNeedsTypeAndSubject(t *testing.T) {
	db := database(t)
	for _, e := range []event.Event{{SubjectID: uuid.New()}, {Type: "thing.changed.v1"}} {
		if err := event.Insert(t.Context(), db.Pool, e, event.Origin{RecordTime: time.Now()}); err == nil {
			t.Errorf("%+v was inserted", e)
		}
	}
}
