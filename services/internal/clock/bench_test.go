//go:build bench

package clock_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

// floor fires what is due by bare SQL: the same rows by the same statements, nothing decided.
func (b *bench) floor(ctx context.Context) (fired int) {
	b.t.Helper()
	now := b.clock.Now()
	for {
		n := 0
		err := pg.InTx(ctx, b.db.Pool, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT id FROM clocks WHERE next_step_time <= $1 ORDER BY next_step_time LIMIT 500 FOR UPDATE SKIP LOCKED`, now)
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			if err != nil || len(ids) == 0 {
				return err
			}
			n = len(ids)
			batch := new(pgx.Batch)
			batch.Queue(`INSERT INTO clock_log (clock_id, position, type, occur_time, record_time, actor, actor_kind, reason, step, role, scheduled_time, amount)
SELECT unnest($1::uuid[]), 2, 9, $2, $2, 'service-ticket', 4, '', '', '', $2, 0`, ids, now)
			batch.Queue(`UPDATE clocks SET state = 5, next_step_time = NULL, version = 2 WHERE id = ANY($1)`, ids)
			hash := make([]byte, 32)
			payload := make([]byte, 250)
			for _, id := range ids {
				record, err := uuid.NewV7()
				if err != nil {
					return err
				}
				batch.Queue(`INSERT INTO event_outbox (event_id, type, subject_id, subject_version, customer_id, occur_time, record_time, actor_kind, actor_id, request_id, historic, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, record, clock.TypeMissed, id, 2, nil, now, now, 4, "service-ticket", "", false, payload)
			}
			for _, id := range ids {
				record, err := uuid.NewV7()
				if err != nil {
					return err
				}
				batch.Queue(`WITH record AS (INSERT INTO audit_records (id, time, actor, actor_kind, action, object_type, object_id, access_right, changes_hash, request_id, cause_event_id, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id) INSERT INTO audit_pending (audit_id) SELECT id FROM record`,
					record, now, "service-ticket", 4, "job/clock-sweep", "clock", id, "job/clock-sweep", hash, "", nil, hash)
			}
			return tx.SendBatch(ctx, batch).Close()
		})
		if err != nil {
			b.t.Fatal(err)
		}
		if fired += n; n < 500 {
			return fired
		}
	}
}

// opened is the number of open clocks; a fifth of them is fired each way.
var opened = flag.Int("open", 1_000_000, "open clocks")

// TestBench fires clocks of a million by the engine and by bare SQL in turns, on a server
// with real durability, and prints what docs/performance.md says of deadlines; part of make
// bench. The number to read is the ratio, the median of the rounds' own.
func TestBench(t *testing.T) {
	const rounds = 5
	size := *opened / 25
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, t.TempDir()))
	b := newBench(t)
	b.fill(*opened, 2*rounds, size)
	due := b.at("2026-03-02 11:30:00")
	var ratios []float64
	var spent [2]time.Duration // of bare SQL and of the engine
	for round := range rounds {
		var took [2]time.Duration
		for turn := range took {
			way := (round + turn) % len(took)
			fire := []func() int{func() int { return b.floor(t.Context()) }, func() int { return b.sweep("").Fired }}[way]
			b.clock.Set(due)
			due = due.Add(time.Hour)
			began := time.Now()
			fired := fire()
			took[way] = time.Since(began)
			if fired < size || fired > size+1 {
				t.Fatalf("%d fired of %d", fired, size)
			}
			spent[way] += took[way]
		}
		ratios = append(ratios, took[0].Seconds()/took[1].Seconds())
	}
	slices.Sort(ratios)
	ratio := ratios[rounds/2]
	b.exec(b.db.Owner(t), `VACUUM clocks`)
	pages := b.pages()
	kept, first := tenYears(t, true), tenYears(t, false)
	rate := func(d time.Duration) int { return int(float64(rounds*size) / d.Seconds()) }
	verdict := func(met bool) string { return map[bool]string{true: "met", false: "MISSED"}[met] }
	const within = 50 * time.Microsecond
	fmt.Print("\n| deadlines | wanted | measured | |\n| --- | --: | --: | --: |\n")
	fmt.Printf("| sweep/bare SQL, %d fired each of %d open | ≥ 0.3 | %.2f (%d/s, %d/s) | %s |\n",
		rounds*size, *opened, ratio, rate(spent[1]), rate(spent[0]), verdict(ratio >= 0.3))
	fmt.Printf("| pages that an idle sweep touches | ≤ %d | %d | %s |\n", idlePages, pages, verdict(pages <= idlePages))
	fmt.Printf("| ten years ahead | ≤ 50 µs | %.1f µs | %s |\n", kept.Seconds()*1e6, verdict(kept <= within))
	fmt.Printf("| ten years ahead, the calendar's first question | | %.0f µs | |\n", first.Seconds()*1e6)
}

// tenYears is what it takes to count ten years of working time in China, by a calendar that
// has its years or has to make them.
func tenYears(t *testing.T, kept bool) time.Duration {
	start := time.Date(2026, 2, 13, 9, 50, 0, 0, time.UTC)
	took := testing.Benchmark(func(b *testing.B) {
		cal := calendars(b)["china-standard"]
		for range b.N {
			if !kept {
				b.StopTimer()
				cal = calendars(b)["china-standard"]
				b.StartTimer()
			}
			if _, err := cal.Add(start, 2500*8*time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
	if took.N == 0 {
		t.Fatal("ten years could not be counted")
	}
	return time.Duration(took.NsPerOp())
}
