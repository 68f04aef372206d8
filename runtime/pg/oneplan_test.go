package pg_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func TestOnePlan(t *testing.T) {
	db := testkit.Database(t)
	ctx, one := t.Context(), pg.OnePlan{Sender: db.Pool}
	// More often than the pool has connections: each is given back.
	for range 50 {
		var n int
		if err := one.QueryRow(ctx, "SELECT $1::int + 1", 41).Scan(&n); err != nil || n != 42 {
			t.Fatalf("%d, %v", n, err)
		}
		if err := one.QueryRow(ctx, "SELECT 1 WHERE $1", false).Scan(&n); !errors.Is(err, pgx.ErrNoRows) {
			t.Fatalf("no row: %v", err)
		}
		if err := one.QueryRow(ctx, "SELECT 1 / $1::int", 0).Scan(&n); pg.Code(err) != "22012" {
			t.Fatalf("a division by zero: %v", err)
		}
		rows, err := one.Query(ctx, "SELECT generate_series(1, $1::int)", 3)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := pgx.CollectRows(rows, pgx.RowTo[int]); err != nil || len(all) != 3 {
			t.Fatalf("%v, %v", all, err)
		}
		if rows, err := one.Query(ctx, "SELECT nothing"); err == nil {
			if _, err = pgx.CollectRows(rows, pgx.RowTo[int]); pg.Code(err) != "42703" {
				t.Fatalf("a column there is not: %v", err)
			}
		}
	}
	// The plan knows no argument, and the setting is gone afterwards.
	plan := func(on pg.DBTX) string {
		t.Helper()
		rows, err := on.Query(ctx, "EXPLAIN (COSTS OFF) SELECT FROM pg_class WHERE oid = $1::oid", 7)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	if got := plan(one); !strings.Contains(got, "$1") {
		t.Errorf("planned for the argument:\n%s", got)
	}
	if got := plan(db.Pool); strings.Contains(got, "$1") {
		t.Errorf("the setting stayed:\n%s", got)
	}
}
