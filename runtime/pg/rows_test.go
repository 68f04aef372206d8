package pg_test

import (
	"context"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

var (
	logA = pg.NewRows(`INSERT INTO steps (kind, batch, nth) VALUES ('a', $1, (SELECT $2::integer))`)
	logB = pg.NewRows(`WITH made AS (INSERT INTO steps (kind, batch, nth) VALUES ('b', $1, $2) RETURNING id)
UPDATE steps SET seen = true FROM made WHERE steps.id = made.id - 1`)
)

const logAlone = `INSERT INTO steps (kind, batch, nth) VALUES ('alone', $1, $2)`

func steps(t *testing.T) *testkit.DB {
	t.Helper()
	return testkit.Database(t, pg.MigrationSet{Name: "steps", FS: fstest.MapFS{"0001_create_steps.sql": {Data: []byte(`-- +goose Up
CREATE TABLE steps (id bigserial PRIMARY KEY, kind text NOT NULL, batch integer NOT NULL, nth integer NOT NULL, seen boolean);
`)}}})
}

func TestRowsWritesAnyNumber(t *testing.T) {
	db := steps(t)
	for _, n := range []int{0, 1, 2, 7, 8, 9, 15, 33, 71} {
		var values []any
		for i := range n {
			values = append(values, n, i)
		}
		if err := logA.Exec(t.Context(), db.Pool, values); err != nil {
			t.Fatal(err)
		}
		var rows, sum int
		if err := db.Pool.QueryRow(t.Context(), `SELECT count(*), coalesce(sum(nth), 0) FROM steps WHERE batch = $1`, n).Scan(&rows, &sum); err != nil {
			t.Fatal(err)
		}
		if rows != n || sum != n*(n-1)/2 {
			t.Errorf("of %d rows %d were written, their sum is %d", n, rows, sum)
		}
	}
}

func TestRowsTakesOneRowOfValues(t *testing.T) {
	for _, sql := range []string{`DELETE FROM a WHERE b = $1`, `INSERT INTO a (b) VALUES ($1) ON CONFLICT (b) DO UPDATE SET b = $2`} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("taken: %s", sql)
				}
			}()
			pg.NewRows(sql)
		}()
	}
}

// However the statements of some batches stand, a merged batch has all of them and each batch's
// own in their order.
func TestMergeKeepsEachBatchInOrder(t *testing.T) {
	db := steps(t)
	rapid.Check(t, func(t *rapid.T) {
		if _, err := db.Pool.Exec(context.Background(), `DELETE FROM steps`); err != nil {
			t.Fatal(err)
		}
		var batches []*pg.Batch
		want := map[int]int{}
		for i := range rapid.IntRange(1, 6).Draw(t, "batches") {
			b := new(pg.Batch)
			for nth, kind := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "alone"}), 0, 8).Draw(t, fmt.Sprint("batch ", i)) {
				var err error
				switch kind {
				case "a":
					err = logA.Exec(context.Background(), b, []any{i, nth})
				case "b":
					err = logB.Exec(context.Background(), b, []any{i, nth})
				default:
					_, err = b.Exec(context.Background(), logAlone, i, nth)
				}
				if err != nil {
					t.Fatal(err)
				}
				want[i]++
			}
			batches = append(batches, b)
		}
		all, err := pg.Merge(context.Background(), batches)
		if err == nil {
			err = pg.InTx(context.Background(), db.Pool, func(tx pgx.Tx) error { return pg.Flush(context.Background(), tx, all) })
		}
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.Pool.Query(context.Background(), `SELECT batch, nth FROM steps ORDER BY id`)
		if err != nil {
			t.Fatal(err)
		}
		got := map[int]int{}
		var batch, nth int
		if _, err := pgx.ForEachRow(rows, []any{&batch, &nth}, func() error {
			if nth != got[batch] {
				return fmt.Errorf("statement %d of batch %d comes after %d others of it", nth, batch, got[batch])
			}
			got[batch]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("written %v, queued %v", got, want)
		}
	})
}

func TestMergeMakesOneStatementOfMany(t *testing.T) {
	var batches []*pg.Batch
	for i := range 10 {
		b := new(pg.Batch)
		for _, r := range []*pg.Rows{logA, logB} {
			if err := r.Exec(t.Context(), b, []any{i, 0}); err != nil {
				t.Fatal(err)
			}
		}
		batches = append(batches, b)
	}
	all, err := pg.Merge(t.Context(), batches)
	if err != nil || all.Len() != 4 { // of eight rows and of two, twice
		t.Errorf("%d statements, %v", all.Len(), err)
	}
}
