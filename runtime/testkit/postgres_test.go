package testkit_test

import (
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func notes(table string) pg.MigrationSet {
	return pg.MigrationSet{Name: "notes", FS: fstest.MapFS{"0001_create.sql": {
		Data: []byte("-- +goose Up\nCREATE TABLE " + table + " (id bigint PRIMARY KEY);\n"),
	}}}
}

func scan[T any](t *testing.T, dsn, sql string, args ...any) (v T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDatabaseIsOnesOwn(t *testing.T) {
	var all sync.WaitGroup
	for range 4 {
		db := testkit.Database(t, notes("notes"))
		all.Go(func() {
			// The same key everywhere: it would collide in a shared database.
			if _, err := db.Pool.Exec(t.Context(), "INSERT INTO notes VALUES (1)"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	db := testkit.Database(t, notes("notes"))
	if n := scan[int](t, db.DSN, "SELECT count(*) FROM notes"); n != 0 {
		t.Errorf("%d rows in a new clone", n)
	}
}

func TestDatabaseFollowsMigrations(t *testing.T) {
	for _, table := range []string{"one", "two"} {
		db := testkit.Database(t, notes(table))
		if !scan[bool](t, db.DSN, "SELECT to_regclass($1) IS NOT NULL", table) {
			t.Errorf("no table %s: the template of another content was cloned", table)
		}
	}
}

func TestDatabaseRoles(t *testing.T) {
	db := testkit.Database(t, notes("notes"))
	if _, err := db.Pool.Exec(t.Context(), "DROP TABLE notes"); pg.Code(err) != "42501" {
		t.Errorf("the run role dropped a table: %v", err)
	}
	if _, err := db.Owner(t).Exec(t.Context(), "DROP TABLE notes"); err != nil {
		t.Errorf("the owner could not: %v", err)
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	var name string
	t.Run("a test", func(t *testing.T) {
		db := testkit.Database(t)
		name = scan[string](t, db.DSN, "SELECT current_database()")
	})
	if scan[bool](t, testkit.Postgres(t), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name) {
		t.Errorf("%s is still there", name)
	}
}

func BenchmarkDatabase(b *testing.B) {
	set := notes("notes")
	testkit.Database(b, set)
	for b.Loop() {
		testkit.Database(b, set)
	}
}
