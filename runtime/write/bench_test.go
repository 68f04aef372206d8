package write_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// floor sends the statements of one write by bare pgx in one batch.
func floor(ctx context.Context, pool *pgxpool.Pool) error {
	id, now, hash := uuid.New(), time.Now(), make([]byte, 32)
	audit, err := uuid.NewV7()
	if err != nil {
		return err
	}
	b := new(pgx.Batch)
	b.Queue(insertThing, id, "a")
	b.Queue(`INSERT INTO event_outbox (event_id, type, subject_id, subject_version, customer_id, occur_time, record_time, actor_kind, actor_id, request_id, historic, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		audit, "thing.created.v1", id, 1, nil, now, now, 1, "issuer|someone", id.String(), false, nil)
	b.Queue(`WITH record AS (INSERT INTO audit_records (id, time, actor, actor_kind, action, object_type, object_id, access_right, changes_hash, request_id, cause_event_id, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id) INSERT INTO audit_pending (audit_id) SELECT id FROM record`,
		audit, now, "issuer|someone", 1, create, "thing", id, "role:clerk/things.write", hash, id.String(), nil, hash)
	b.Queue(`INSERT INTO idempotency_outcomes (caller, method, request_id, body_hash, resource_id, resource_version, response, create_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, "issuer|someone", create, id.String(), hash, id, 1, make([]byte, 66), now)
	return pool.SendBatch(ctx, b).Close()
}

// BenchmarkWrite measures both doors against the floor in interleaved runs on one
// database: the numbers to read are the ratios, on a server with real durability.
func BenchmarkWrite(b *testing.B) {
	for _, conns := range []int{1, 16} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			db := testkit.Database(b, sets()...)
			pool, err := pg.Open(b.Context(), pg.Config{URL: db.DSN, MaxConns: int32(conns)})
			if err != nil {
				b.Fatal(err)
			}
			defer pool.Close()
			p := newPath(b, pool, func() {})
			req := newRequest(b, "x", "a")
			ctx := by("someone", create)
			ways := []func() error{
				func() error { return floor(ctx, pool) },
				func() error { _, err := doBatch(ctx, p, req.with(uuid.NewString())); return err },
				func() error { _, err := do(ctx, p, req.with(uuid.NewString())); return err },
			}
			spent := make([]time.Duration, len(ways))
			const run = 20 // calls of one way before the next has its turn
			for done := 0; done < b.N; done += run * conns {
				for w, way := range ways {
					began := time.Now()
					parallel(b, conns, run, way)
					spent[w] += time.Since(began)
				}
			}
			ratio := func(w int) float64 { return float64(spent[0]) / float64(spent[w]) }
			b.ReportMetric(ratio(1), "DoBatch/floor")
			b.ReportMetric(ratio(2), "Do/floor")
			calls := float64((b.N + run*conns - 1) / (run * conns) * run * conns)
			b.ReportMetric(calls/spent[0].Seconds(), "floor/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func parallel(b *testing.B, workers, each int, call func() error) {
	b.Helper()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
