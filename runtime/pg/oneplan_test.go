package pg_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
	// One plan for any argument, and the setting is gone afterwards.
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	const asked = "SELECT count(*) FROM pg_class WHERE oid = $1::oid"
	plans := func() (generic, custom int) {
		t.Helper()
		err := conn.QueryRow(ctx, "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1", asked).Scan(&generic, &custom)
		if err != nil {
			t.Fatal(err)
		}
		return generic, custom
	}
	var n int
	for range 3 {
		if err := (pg.OnePlan{Sender: conn}).QueryRow(ctx, asked, 7).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if generic, custom := plans(); generic != 3 || custom != 0 {
		t.Errorf("%d plans for any argument and %d for one", generic, custom)
	}
	if err := conn.QueryRow(ctx, asked, 7).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if generic, custom := plans(); generic != 3 || custom != 1 {
		t.Errorf("the setting stayed: %d plans for any argument and %d for one", generic, custom)
	}
}

// The sessions of a pool for lists make one plan too, and leave bitmaps out.
func TestInOrder(t *testing.T) {
	db := testkit.Database(t)
	lists, err := pg.InOrder(db.Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer lists.Close()
	if n := lists.Stat().TotalConns(); n != 0 {
		t.Errorf("%d connections before the first list", n)
	}
	for on, want := range map[*pgxpool.Pool]string{db.Pool: "auto on UTC", lists: "force_generic_plan off UTC"} {
		var got string
		err := on.QueryRow(t.Context(), `SELECT concat_ws(' ', current_setting('plan_cache_mode'), current_setting('enable_bitmapscan'), current_setting('timezone'))`).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if most := lists.Config().MaxConns; most*4 > db.Pool.Config().MaxConns+3 {
		t.Errorf("%d connections for lists beside %d", most, db.Pool.Config().MaxConns)
	}
}
