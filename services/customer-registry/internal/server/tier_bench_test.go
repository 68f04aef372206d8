//go:build bench

package server_test

import (
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/testkit"
)

// TestBenchTiers measures the scoring of many customers with two orders of a line each: one statement,
// with the count of who moves; part of make bench.
func TestBenchTiers(t *testing.T) {
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, t.TempDir()))
	r := start(t)
	// As the owner, who alone may have the rows counted.
	conn, err := r.DB.Owner(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	made := time.Now()
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`SET statement_timeout = 0`, nil},
		{`ALTER TABLE customers DISABLE TRIGGER USER`, nil}, // the quality of files is no part of it
		{`CREATE TEMP TABLE made AS SELECT n, gen_random_uuid() AS id FROM generate_series(1, $1::int) AS n`, []any{*importRows}},
		{`INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
			tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version)
		SELECT id, 'C-202001-' || n, 'customer ' || n, 3, 1, '', '', '', '', '{}', 1, 1, '', 1, 'zh-CN', true, now(), now(), 1 FROM made`, nil},
		{`INSERT INTO orders (id, customer_id, order_number, order_time, status, currency, amount_units, amount_nanos, cost_units, cost_nanos,
			create_time, update_time, version)
		SELECT gen_random_uuid(), id, n || '/' || k, $1::timestamptz - make_interval(days => (n * 7 + k * 211) % 900), '', 'CNY', (n * 31 + k) % 9973, n % 1000,
			(n * 17) % 4999, 0, now(), now(), 1 FROM made CROSS JOIN generate_series(1, 2) AS k`, []any{r.Clock.Now()}},
		{`INSERT INTO order_lines (order_id, line, product_model, product_category, quantity)
		SELECT id, 1, 'KF-100', '', 1 + length(order_number) % 5 FROM orders`, nil},
		{`ALTER TABLE customers ENABLE TRIGGER USER`, nil},
		{`ANALYZE customers, orders, order_lines`, nil},
	} {
		if _, err := conn.Exec(t.Context(), step.sql, step.args...); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d customers with two orders each made in %.1f s", *importRows, time.Since(made).Seconds())
	began := time.Now()
	run := r.preview(t, nil)
	if run.GetScored() != int64(*importRows) || run.GetMoves() == 0 {
		t.Fatalf("run %v", run)
	}
	t.Logf("%d customers with two orders each scored in %.1f s; %d move", run.GetScored(), time.Since(began).Seconds(), run.GetMoves())
}
