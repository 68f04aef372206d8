package clock_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

// fill makes n open clocks, copies of one real one, of which the first due have their miss
// before now and the others in a year.
func (b *bench) fill(n, due int) {
	b.t.Helper()
	terms := hours(2)
	terms.Ladder = nil
	model := b.start("2026-03-02 09:00:00", terms)
	owner := b.db.Owner(b.t)
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`CREATE TABLE filled AS SELECT n, gen_random_uuid() AS id FROM generate_series(1, $1::integer) n`, []any{n}},
		{`INSERT INTO clocks SELECT f.id, c.subject_type, gen_random_uuid(), c.kind, c.round, c.state, c.owner_role, c.owner_staff_id,
  c.owner_department_id, c.calendar_id, c.calendar_version, c.policy_id, c.policy_version, c.clause_id, c.target,
  c.start_time + v.shift, c.due_time + v.shift, NULL, c.next_step_time + v.shift, c.version
FROM clocks c, filled f, LATERAL (SELECT CASE WHEN f.n <= $2 THEN interval '0' ELSE interval '364 days' END AS shift) v WHERE c.id = $1`, []any{model.ID, due}},
		{`INSERT INTO clock_log SELECT f.id, l.position, l.type, l.occur_time + v.shift, l.record_time, l.actor, l.actor_kind, l.reason,
  l.terms, l.owner, l.step, l.role, l.scheduled_time, l.amount
FROM clock_log l, filled f, LATERAL (SELECT CASE WHEN f.n <= $2 THEN interval '0' ELSE interval '364 days' END AS shift) v WHERE l.clock_id = $1`, []any{model.ID, due}},
		{`DROP TABLE filled`, nil}, {`VACUUM ANALYZE clocks`, nil}, {`VACUUM ANALYZE clock_log`, nil},
	} {
		if _, err := owner.Exec(context.Background(), step.sql, step.args...); err != nil {
			b.t.Fatalf("%s: %v", step.sql, err)
		}
	}
}

// pages counts the pages that the sweep's queries touch when nothing is due.
func (b *bench) pages() (n int) {
	b.t.Helper()
	for _, sql := range []string{
		`SELECT (SELECT next_step_time FROM clocks WHERE next_step_time IS NOT NULL ORDER BY next_step_time LIMIT 1) <= $1`,
		`WITH RECURSIVE used AS (
  (SELECT calendar_id, calendar_version FROM clocks WHERE stop_time IS NULL ORDER BY calendar_id, calendar_version LIMIT 1)
  UNION ALL
  SELECT following.calendar_id, following.calendar_version
  FROM used, LATERAL (
    SELECT c.calendar_id, c.calendar_version FROM clocks c
    WHERE c.stop_time IS NULL AND (c.calendar_id, c.calendar_version) > (used.calendar_id, used.calendar_version)
    ORDER BY c.calendar_id, c.calendar_version LIMIT 1
  ) AS following
) SELECT calendar_id, calendar_version FROM used WHERE $1::timestamptz IS NOT NULL`,
	} {
		var plan []byte
		err := b.db.Pool.QueryRow(b.t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+sql, b.clock.Now()).Scan(&plan)
		if err != nil {
			b.t.Fatal(err)
		}
		var plans []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			}
		}
		if err := json.Unmarshal(plan, &plans); err != nil {
			b.t.Fatal(err)
		}
		n += plans[0].Plan.Hit + plans[0].Plan.Read
	}
	return n
}

// idlePages is what an idle sweep may touch, however many clocks there are.
const idlePages = 40

func TestIdleSweepTouchesFewPages(t *testing.T) {
	b := newBench(t)
	b.fill(30_000, 6_000)
	b.sweep("2026-03-02 12:00:00") // a backlog, which the statistics remember
	b.sweep("2026-03-02 12:00:01")
	// Until a vacuum the index has the dead entries of the backlog, hundreds on a page.
	if n := b.pages(); n > idlePages+6_000/100 {
		t.Errorf("an idle sweep after a backlog touches %d pages", n)
	}
	if _, err := b.db.Owner(t).Exec(t.Context(), `VACUUM clocks`); err != nil {
		t.Fatal(err)
	}
	if n := b.pages(); n > idlePages {
		t.Errorf("an idle sweep over 30,000 clocks touches %d pages", n)
	}
}

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

// BenchmarkSweep fires 200,000 of 1,000,000 open clocks, once by the engine and once by bare
// SQL, each on a database of its own; the number to read is the ratio.
func BenchmarkSweep(t *testing.B) {
	const open, due = 1_000_000, 200_000
	for range t.N {
		spent := map[string]time.Duration{}
		for _, way := range []string{"floor", "sweep"} {
			b := newBench(t)
			b.fill(open, due)
			b.at("2026-03-02 12:00:00")
			began := time.Now()
			fired := 0
			if way == "floor" {
				fired = b.floor(t.Context())
			} else {
				fired = b.sweep("").Fired
			}
			spent[way] = time.Since(began)
			if fired != due+1 {
				t.Fatalf("%s fired %d", way, fired)
			}
			if way == "sweep" {
				began = time.Now()
				b.sweep("")
				t.ReportMetric(float64(time.Since(began).Microseconds())/1000, "idle-ms")
				t.ReportMetric(float64(b.pages()), "idle-pages")
			}
		}
		t.ReportMetric(float64(spent["floor"])/float64(spent["sweep"]), "sweep/floor")
		t.ReportMetric(due/spent["sweep"].Seconds(), "fired/s")
		t.ReportMetric(0, "ns/op")
	}
}
