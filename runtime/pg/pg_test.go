package pg_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

const thingsSQL = `-- +goose Up
CREATE TABLE things (
  id   bigint PRIMARY KEY,
  name text NOT NULL CONSTRAINT things_name_set CHECK (name <> ''),
  part bigint CONSTRAINT things_part REFERENCES things DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT things_name_once UNIQUE (name)
);
CREATE TABLE records (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON records FROM %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd
-- +goose Down
DROP TABLE records, things;
`

func things() pg.MigrationSet {
	return pg.MigrationSet{Name: "things", FS: fstest.MapFS{
		"migrations/0001_create_things.sql": {Data: []byte(thingsSQL)},
	}}
}

func count(t *testing.T, db *testkit.DB) int {
	t.Helper()
	var n int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(tx pg.DBTX, id int, name string) error {
	_, err := tx.Exec(context.Background(), "INSERT INTO things (id, name) VALUES ($1, $2)", id, name)
	return err
}

func TestOpenLimits(t *testing.T) {
	db := testkit.Database(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.DSN, Application: "limits", StatementTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for name, want := range map[string]string{
		"jit": "off", "statement_timeout": "50ms", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s",
		"application_name": "limits", "TimeZone": "UTC",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	if pool.Config().MaxConns != 20 {
		t.Errorf("pool of %d, want 20", pool.Config().MaxConns)
	}
	if _, err := pool.Exec(t.Context(), "SELECT pg_sleep(5)"); pg.Code(err) != "57014" {
		t.Errorf("a statement over its limit: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	db := testkit.Database(t)
	if _, err := pg.Open(t.Context(), pg.Config{URL: db.DSN + "&default_query_exec_mode=simple_protocol"}); err == nil || !strings.Contains(err.Error(), "simple protocol") {
		t.Errorf("simple protocol: %v", err)
	}
	wrong := strings.Replace(db.DSN, "kefu_test:", "kefu_test:sesame", 1)
	_, err := pg.Open(t.Context(), pg.Config{URL: wrong})
	if err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("wrong password: %v", err)
	}
}

func TestInTxCommitsAndRollsBack(t *testing.T) {
	db := testkit.Database(t, things())
	if err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return insert(tx, 1, "a") }); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		if err := insert(tx, 2, "b"); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) || errors.Is(err, pg.ErrOutcomeUnknown) {
		t.Errorf("err = %v, want the function's own", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestInTxReturnsErrorOfCommit(t *testing.T) {
	db := testkit.Database(t, things())
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO things VALUES (1, 'a', 99)")
		return err
	})
	if !pg.Violates(err, "things_part") || errors.Is(err, pg.ErrOutcomeUnknown) {
		t.Errorf("err = %v, want the deferred constraint and a known outcome", err)
	}
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// Both transactions hold one row and want the other's: Postgres refuses one,
// which must succeed when it runs again.
func TestInTxRunsAgainAfterDeadlock(t *testing.T) {
	db := testkit.Database(t, things())
	if _, err := db.Pool.Exec(t.Context(), "INSERT INTO things VALUES (1, 'a'), (2, 'b')"); err != nil {
		t.Fatal(err)
	}
	var met, done sync.WaitGroup
	met.Add(2)
	runs := make([]int, 2)
	for i := range 2 {
		done.Go(func() {
			err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
				runs[i]++
				const touch = "UPDATE things SET name = name || 'x' WHERE id = $1"
				if _, err := tx.Exec(t.Context(), touch, 1+i); err != nil {
					return err
				}
				if runs[i] == 1 {
					met.Done()
					met.Wait()
				}
				_, err := tx.Exec(t.Context(), touch, 2-i)
				return err
			})
			if err != nil {
				t.Errorf("transaction %d: %v", i, err)
			}
		})
	}
	done.Wait()
	// On a busy machine they may meet once more.
	if runs[0]+runs[1] < 3 {
		t.Errorf("runs = %v, want one of them to run again", runs)
	}
}

func TestRetriesEnd(t *testing.T) {
	db := testkit.Database(t, things())
	for door, run := range doors(t, db) {
		runs := 0
		err := run(func(tx pg.DBTX) error {
			runs++
			_, err := tx.Exec(t.Context(), "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
			return err
		})
		if pg.Code(err) != "40001" || runs != 5 {
			t.Errorf("%s: %d runs and %v, want five and 40001", door, runs, err)
		}
	}
}

func TestInBatchIsOneTransaction(t *testing.T) {
	db := testkit.Database(t, things())
	fill := func(last func(b *pg.Batch)) error {
		return pg.InBatch(t.Context(), db.Pool, func(b *pg.Batch) error {
			for i, name := range []string{"a", "b", "c"} {
				if err := insert(b, i, name); err != nil {
					return err
				}
			}
			last(b)
			return nil
		})
	}
	failures := map[string]func(b *pg.Batch){
		"a constraint":   func(b *pg.Batch) { _ = insert(b, 9, "") },
		"a deferred one": func(b *pg.Batch) { _, _ = b.Exec(t.Context(), "INSERT INTO things VALUES (9, 'z', 99)") },
		"a syntax error": func(b *pg.Batch) { _, _ = b.Exec(t.Context(), "INSERT INTO nowhere VALUES (1)") },
		"a bad argument": func(b *pg.Batch) {
			_, _ = b.Exec(t.Context(), "INSERT INTO things (id, name) VALUES ($1, $2)", struct{}{}, "z")
		},
		"a missing privilege": func(b *pg.Batch) { _, _ = b.Exec(t.Context(), "DELETE FROM records") },
	}
	// Twice: a second time the statements are prepared already.
	for range 2 {
		for what, last := range failures {
			if err := fill(last); err == nil {
				t.Errorf("%s as the last statement: no error", what)
			}
			if n := count(t, db); n != 0 {
				t.Fatalf("%s as the last statement: %d rows remain", what, n)
			}
		}
	}
	if err := fill(func(*pg.Batch) {}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	var transactions int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(DISTINCT xmin::text) FROM things").Scan(&transactions); err != nil || transactions != 1 {
		t.Errorf("%d transactions, %v; want one", transactions, err)
	}
}

func TestFlushWritesInTheOpenTransaction(t *testing.T) {
	db := testkit.Database(t, things())
	seen := func(q pg.DBTX) (n int) {
		if err := q.QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		var b pg.Batch
		if err := pg.Flush(t.Context(), tx, &b); err != nil {
			t.Errorf("an empty batch: %v", err)
		}
		if err := errors.Join(insert(&b, 1, "a"), insert(&b, 2, "b")); err != nil {
			return err
		}
		if n := seen(tx); n != 0 {
			t.Errorf("%d rows before the batch was flushed", n)
		}
		if err := pg.Flush(t.Context(), tx, &b); err != nil {
			return err
		}
		if in, out := seen(tx), seen(db.Pool); in != 2 || out != 0 {
			t.Errorf("%d rows inside and %d outside, want 2 and 0", in, out)
		}
		return nil
	})
	if n := seen(db.Pool); err != nil || n != 2 {
		t.Errorf("%d rows after the commit, %v", n, err)
	}
	err = pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		var b pg.Batch
		if err := errors.Join(insert(&b, 3, "c"), insert(&b, 4, "a")); err != nil {
			return err
		}
		return pg.Flush(t.Context(), tx, &b)
	})
	if n := seen(db.Pool); !pg.Violates(err, "things_name_once") || n != 2 {
		t.Errorf("%d rows after a statement that failed: %v", n, err)
	}
}

func TestInBatchErrors(t *testing.T) {
	db := testkit.Database(t, things())
	err := pg.InBatch(t.Context(), db.Pool, func(b *pg.Batch) error {
		_ = insert(b, 1, "a")
		return insert(b, 2, "a")
	})
	if !pg.Violates(err, "things_name_once") || !strings.Contains(err.Error(), "statement 2") || errors.Is(err, pg.ErrOutcomeUnknown) {
		t.Errorf("err = %v", err)
	}
	if pg.Violates(err, "things_pkey") || pg.Violates(nil, "") || pg.Violates(errors.New("things_name_once"), "things_name_once") {
		t.Error("a violation was seen that is none")
	}
	err = pg.InBatch(t.Context(), db.Pool, func(b *pg.Batch) error {
		if _, err := b.Query(t.Context(), "SELECT 1"); err == nil {
			t.Error("a batch read")
		}
		return b.QueryRow(t.Context(), "SELECT 1").Scan(new(int))
	})
	if err == nil || !strings.Contains(err.Error(), "pg.InTx") {
		t.Errorf("reading in a batch: %v", err)
	}
	if err := pg.InBatch(t.Context(), db.Pool, func(*pg.Batch) error { return nil }); err != nil {
		t.Errorf("an empty batch: %v", err)
	}
}

// A deferred trigger ends the session inside the commit: the client cannot
// know what became of it, and must not run it again.
func TestOutcomeUnknown(t *testing.T) {
	db := testkit.Database(t, things())
	const trap = `
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER things_die AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.name = 'die') EXECUTE FUNCTION die()`
	if _, err := db.Owner(t).Exec(t.Context(), trap); err != nil {
		t.Fatal(err)
	}
	for door, run := range doors(t, db) {
		runs := 0
		err := run(func(tx pg.DBTX) error {
			runs++
			return insert(tx, 1, "die")
		})
		if !errors.Is(err, pg.ErrOutcomeUnknown) || !pg.Unavailable(err) || runs != 1 {
			t.Errorf("%s: %d runs and %v, want one and an unknown outcome", door, runs, err)
		}
	}
}

// A session that ended before the commit was sent has committed nothing, and
// the pool opens another.
func TestLostBeforeCommit(t *testing.T) {
	db := testkit.Database(t, things())
	admin, err := pgx.Connect(t.Context(), testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	err = pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		if err := insert(tx, 1, "a"); err != nil {
			return err
		}
		_, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend($1, 5000)", tx.Conn().PgConn().PID())
		return err
	})
	if !pg.Unavailable(err) {
		t.Errorf("err = %v, want unavailable", err)
	}
	if err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return insert(tx, 1, "a") }); err != nil {
		t.Errorf("the pool did not recover: %v", err)
	}
}

// A caller that gives up costs its statement and not the connection, and the next one's
// statement is not what is cancelled.
func TestGivingUpKeepsTheConnection(t *testing.T) {
	db := testkit.Database(t, things())
	sleep := func(ctx context.Context, tx pg.DBTX) error {
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	}
	for door, run := range map[string]func(context.Context) error{
		"pool": func(ctx context.Context) error { return sleep(ctx, db.Pool) },
		"InTx": func(ctx context.Context) error {
			return pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
				return errors.Join(insert(tx, 1, "a"), sleep(ctx, tx))
			})
		},
		"InBatch": func(ctx context.Context) error {
			return pg.InBatch(ctx, db.Pool, func(b *pg.Batch) error {
				return errors.Join(insert(b, 1, "a"), sleep(ctx, b))
			})
		},
	} {
		before := session(t, db)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := run(ctx)
		cancel()
		if err == nil {
			t.Errorf("%s: a minute passed", door)
		}
		if after := session(t, db); after != before {
			t.Errorf("%s: the session is another: %v", door, err)
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%s: %d rows stayed", door, n)
		}
	}
}

// session is the process of the only connection.
func session(t *testing.T, db *testkit.DB) (pid uint32) {
	t.Helper()
	if n := db.Pool.Stat().TotalConns(); n > 1 {
		t.Fatalf("%d connections", n)
	}
	if err := db.Pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// doors are both ways to a transaction, as one shape.
func doors(t *testing.T, db *testkit.DB) map[string]func(func(pg.DBTX) error) error {
	return map[string]func(func(pg.DBTX) error) error{
		"InTx": func(fn func(pg.DBTX) error) error {
			return pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return fn(tx) })
		},
		"InBatch": func(fn func(pg.DBTX) error) error {
			return pg.InBatch(t.Context(), db.Pool, func(b *pg.Batch) error { return fn(b) })
		},
	}
}

func TestDescribeHidesValues(t *testing.T) {
	db := testkit.Database(t, things())
	_, err := db.Pool.Exec(t.Context(), "INSERT INTO things VALUES (1, '13800138000'), (2, '13800138000')")
	if got := pg.Describe(err); got != "SQLSTATE 23505 table things constraint things_name_once" {
		t.Errorf("Describe = %q", got)
	}
	_, err = db.Pool.Exec(t.Context(), "SELECT 'secret'::text::bigint")
	if got := pg.Describe(err); strings.Contains(got, "secret") || !strings.Contains(got, "22P02") {
		t.Errorf("Describe = %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = db.Pool.Exec(ctx, "SELECT 1")
	if pg.Unavailable(err) || pg.Describe(err) != "context canceled" {
		t.Errorf("a cancelled call: unavailable %v, %q", pg.Unavailable(err), pg.Describe(err))
	}
	nowhere := "postgres://u:p@/db?host=" + os.TempDir() + "/kefu-no-such-folder"
	if _, err := pg.Open(t.Context(), pg.Config{URL: nowhere}); !pg.Unavailable(err) {
		t.Errorf("no server: %v is not unavailable", err)
	}
}
