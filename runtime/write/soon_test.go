package write_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
)

// What is sent soon is there for every statement that comes after it, by whichever way, and
// at the latest with the record.
func TestSoonKeepsTheOrder(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	ids := make([]uuid.UUID, 7)
	for i := range ids {
		ids[i] = uuid.New()
	}
	soon := func(ctx context.Context, tx *write.Tx, i int) {
		if _, err := tx.Soon().Exec(ctx, insertThing, ids[i], "soon"); err != nil {
			t.Error(err)
		}
	}
	const named = `SELECT name FROM things WHERE id = $1`
	_, err := write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		var name string
		soon(ctx, tx, 0)
		if err := tx.QueryRow(ctx, named, ids[0]).Scan(&name); err != nil {
			t.Errorf("a row: %v", err)
		}
		soon(ctx, tx, 1)
		rows, err := tx.Query(ctx, named, ids[1])
		if err != nil {
			return nil, err
		}
		if got, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(got) != 1 {
			t.Errorf("rows: %v, %v", got, err)
		}
		soon(ctx, tx, 2)
		if tag, err := tx.Exec(ctx, `UPDATE things SET version = 2 WHERE id = $1`, ids[2]); err != nil || tag.RowsAffected() != 1 {
			t.Errorf("a statement: %v, %v", tag, err)
		}
		soon(ctx, tx, 3)
		b := new(pgx.Batch)
		b.Queue(named, ids[3]).QueryRow(func(row pgx.Row) error { return row.Scan(&name) })
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			t.Errorf("a batch: %v", err)
		}
		soon(ctx, tx, 4)
		nested, err := tx.Begin(ctx)
		if err != nil {
			return nil, err
		}
		if err := nested.Rollback(ctx); err != nil {
			return nil, err
		}
		soon(ctx, tx, 5)
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"things"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{uuid.New(), "copied"}})); err != nil {
			return nil, err
		}
		soon(ctx, tx, 6)
		tx.Audit("thing", ids[0], nil)
		return wrapperspb.String("done"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db.Pool, "things"); n != len(ids)+1 {
		t.Errorf("%d things, want %d", n, len(ids)+1)
	}
}

// A statement that fails when it is sent fails what it went along with, and nothing remains.
func TestSoonFails(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	twice := uuid.New()
	for name, then := range map[string]func(ctx context.Context, tx *write.Tx) error{
		"the record":  func(context.Context, *write.Tx) error { return nil },
		"a statement": func(ctx context.Context, tx *write.Tx) error { _, err := tx.Exec(ctx, `SELECT 1`); return err },
		"a row":       func(ctx context.Context, tx *write.Tx) error { return tx.QueryRow(ctx, `SELECT 1`).Scan(new(int)) },
		"rows":        func(ctx context.Context, tx *write.Tx) error { _, err := tx.Query(ctx, `SELECT 1`); return err },
		"a batch": func(ctx context.Context, tx *write.Tx) error {
			b := new(pgx.Batch)
			b.Queue(`SELECT 1`)
			return tx.SendBatch(ctx, b).Close()
		},
		"a savepoint": func(ctx context.Context, tx *write.Tx) error { _, err := tx.Begin(ctx); return err },
	} {
		err := write.Job(t.Context(), p, "test", func(ctx context.Context, tx *write.Tx) error {
			for range 2 {
				if _, err := tx.Soon().Exec(ctx, insertThing, twice, "twice"); err != nil {
					return err
				}
			}
			tx.Audit("thing", twice, nil)
			return then(ctx, tx)
		})
		if !pg.Violates(err, "things_pkey") || count(t, db.Pool, "things") != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a call reads whatever comes goes along with the claim, with and without a request id;
// a repeated call reads it too and gets the first answer.
func TestDoReading(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	id := uuid.New()
	if _, err := db.Pool.Exec(t.Context(), insertThing, id, "kept"); err != nil {
		t.Fatal(err)
	}
	ran := 0
	call := func(requestID string) (string, error) {
		var name string
		answer, err := write.DoReading(by("someone", create), p, newRequest(t, requestID, "a"), func(b *pgx.Batch) {
			b.Queue(`SELECT name FROM things WHERE id = $1 FOR UPDATE`, id).QueryRow(func(row pgx.Row) error { return row.Scan(&name) })
		}, func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
			ran++
			tx.Audit("thing", id, nil)
			_, err := tx.Exec(ctx, `UPDATE things SET name = 'changed' WHERE id = $1`, id)
			return wrapperspb.String(name), err
		})
		return answer.GetValue(), err
	}
	for _, c := range []struct {
		request, want string
		ran           int
	}{{"one", "kept", 1}, {"one", "kept", 1}, {"", "changed", 2}, {"two", "changed", 3}} {
		if got, err := call(c.request); got != c.want || err != nil || ran != c.ran {
			t.Errorf("%q: %q, %v after %d runs; want %q after %d", c.request, got, err, ran, c.want, c.ran)
		}
	}
	_, err := write.DoReading(by("someone", create), p, newRequest(t, "three", "a"), func(b *pgx.Batch) {
		b.Queue(`SELECT 1 / 0`)
	}, func(context.Context, *write.Tx) (*wrapperspb.StringValue, error) {
		t.Error("ran although what it reads failed")
		return nil, nil
	})
	if pg.Code(err) != "22012" {
		t.Errorf("a read that fails: %v", err)
	}
}
