package pg_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func TestAlong(t *testing.T) {
	db := testkit.Database(t)
	ctx := t.Context()
	if _, err := db.Owner(t).Exec(ctx, `CREATE TABLE left_behind (n int CHECK (n > 0), word text NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	insert := pg.NewInsert(`INSERT INTO left_behind (n, word) VALUES ($1, $2)`)
	along := func(n int) *pg.Along { return pg.NewAlong(db.Pool, insert, []any{n, "word"}) }
	left := func(n int) (rows int) {
		t.Helper()
		if err := db.Pool.QueryRow(ctx, `SELECT count(*) FROM left_behind WHERE n = $1`, n).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	open := along(9)
	rows, err := open.Query(ctx, `SELECT 1`)
	if err != nil {
		t.Fatal(err)
	}
	if err := open.Done(ctx); err == nil {
		t.Error("done while the rows were being read")
	}
	rows.Close()
	if err := open.Done(ctx); err != nil || left(9) != 1 {
		t.Errorf("when the rows are closed: %v, left %d rows", err, left(9))
	}

	var got int
	// More often than the pool has connections: each is given back.
	for range 30 {
		for n, read := range map[int]func(*pg.Along) error{
			1: func(a *pg.Along) error { return a.QueryRow(ctx, `SELECT $1::int`, 2).Scan(&got) },
			2: func(a *pg.Along) error {
				rows, err := a.Query(ctx, `SELECT generate_series(1, $1::int)`, 3)
				if err != nil {
					return err
				}
				all, err := pgx.CollectRows(rows, pgx.RowTo[int])
				if len(all) != 3 {
					t.Errorf("%v", all)
				}
				return err
			},
			3: func(a *pg.Along) error {
				if err := a.QueryRow(ctx, `SELECT 1 WHERE false`).Scan(&got); !errors.Is(err, pgx.ErrNoRows) {
					t.Errorf("no row: %v", err)
				}
				return nil
			},
			4: func(a *pg.Along) error { return nil }, // nothing is read
			7: func(a *pg.Along) error {
				rows, err := a.Few().Query(ctx, `SELECT generate_series(1, $1::int)`, 3)
				if err != nil {
					return err
				}
				all, err := pgx.CollectRows(rows, pgx.RowTo[int])
				if len(all) != 3 {
					t.Errorf("%v", all)
				}
				return err
			},
		} {
			before, a := left(n), along(n)
			for range 2 { // what is read next goes without
				if err := read(a); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := a.Done(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if after := left(n); after != before+1 {
				t.Fatalf("way %d left %d rows", n, after-before)
			}
		}
		// Either both take effect or neither.
		for n, sql := range map[int]string{5: `SELECT 1 / 0`, 6: `SELECT nothing`, -1: `SELECT 1`} {
			a := along(n)
			if err := a.QueryRow(ctx, sql).Scan(&got); err == nil {
				t.Errorf("%s with %d: no error", sql, n)
			}
			for _, few := range []bool{false, true} {
				a := along(n)
				var on pg.DBTX = a
				if few {
					on = a.Few()
				}
				rows, err := on.Query(ctx, sql)
				if err == nil {
					_, err = pgx.CollectRows(rows, pgx.RowTo[int])
				}
				if done := a.Done(ctx); err == nil || done == nil || left(n) != 0 {
					t.Errorf("%s with %d, few %v: %v, done %v, left %d rows", sql, n, few, err, done, left(n))
				}
			}
		}
		if err := along(-1).Done(ctx); pg.Code(err) != "23514" {
			t.Errorf("a row that breaks a rule: %v", err)
		}
		if err := pg.NewAlong(db.Pool, insert, nil).Done(ctx); err != nil {
			t.Errorf("nothing to insert: %v", err)
		}
	}
}

// Placeholders are numbered on by their order.
func TestInsertOutOfOrder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("placeholders out of their order were taken")
		}
	}()
	pg.NewInsert(`INSERT INTO left_behind (n, word) VALUES ($2, $1)`)
}
