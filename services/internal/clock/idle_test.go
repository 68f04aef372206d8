package clock_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// fill makes clocks that are copies of one real one: groups of one size, each due an hour
// after the group before, and the rest in a year. The real one is due with the first.
func (b *bench) fill(n, groups, size int) {
	b.t.Helper()
	terms := hours(2)
	terms.Ladder, terms.CalendarID = nil, "always"
	model := b.start("2026-03-02 09:00:00", terms)
	owner := b.db.Owner(b.t)
	const shift = `LATERAL (SELECT CASE WHEN f.n <= $2::integer * $3::integer THEN (f.n - 1) / $3 * interval '1 hour'
  ELSE interval '364 days' END AS shift) v`
	b.exec(owner, `CREATE TABLE filled AS SELECT n, gen_random_uuid() AS id FROM generate_series(1, $1::integer) n`, n)
	for at := 0; at < n; at += 100_000 {
		b.exec(owner, `INSERT INTO clocks SELECT f.id, c.subject_type, gen_random_uuid(), c.kind, c.round, c.state, c.owner_role, c.owner_staff_id,
  c.owner_department_id, c.calendar_id, c.calendar_version, c.policy_id, c.policy_version, c.clause_id, c.target,
  c.start_time + v.shift, c.due_time + v.shift, NULL, c.next_step_time + v.shift, c.version
FROM clocks c, filled f, `+shift+` WHERE c.id = $1 AND f.n > $4 AND f.n <= $4 + 100000`, model.ID, groups, size, at)
		b.exec(owner, `INSERT INTO clock_log SELECT f.id, l.position, l.type, l.occur_time + v.shift, l.record_time, l.actor, l.actor_kind, l.reason,
  l.terms, l.owner, l.step, l.role, l.scheduled_time, l.amount
FROM clock_log l, filled f, `+shift+` WHERE l.clock_id = $1 AND f.n > $4 AND f.n <= $4 + 100000`, model.ID, groups, size, at)
	}
	b.exec(owner, `DROP TABLE filled`)
	b.exec(owner, `VACUUM ANALYZE clocks`)
	b.exec(owner, `VACUUM ANALYZE clock_log`)
}

func (b *bench) exec(on *pgxpool.Pool, sql string, args ...any) {
	b.t.Helper()
	if _, err := on.Exec(context.Background(), sql, args...); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
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
	b.fill(30_000, 1, 6_000)
	b.sweep("2026-03-02 12:00:00") // a backlog, which the statistics remember
	b.sweep("2026-03-02 12:00:01")
	// Until a vacuum the index has the dead entries of the backlog, hundreds on a page.
	if n := b.pages(); n > idlePages+6_000/100 {
		t.Errorf("an idle sweep after a backlog touches %d pages", n)
	}
	b.exec(b.db.Owner(t), `VACUUM clocks`)
	if n := b.pages(); n > idlePages {
		t.Errorf("an idle sweep over 30,000 clocks touches %d pages", n)
	}
}
