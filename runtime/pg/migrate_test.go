package pg_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// service makes a service's database and drops it and its roles at the end.
func service(t *testing.T) (name string, a pg.Access) {
	t.Helper()
	admin := testkit.Postgres(t)
	name = "kefu-pgtest-" + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, admin)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		role := strings.ReplaceAll(name, "-", "_")
		for _, sql := range []string{"DROP DATABASE " + role + " WITH (FORCE)", "DROP ROLE " + role, "DROP ROLE " + role + "_owner"} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				t.Error(err)
			}
		}
	})
	// Quotes in passwords must arrive whole; the second call keeps and resets.
	for _, password := range []string{"first", `it's "%L" \ /@:`} {
		var err error
		if a, err = pg.CreateDatabase(t.Context(), admin, name, "owner "+password, password); err != nil {
			t.Fatal(err)
		}
	}
	return name, a
}

func exec(t *testing.T, dsn, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), sql)
	return err
}

func TestRolesOfService(t *testing.T) {
	name, a := service(t)
	if a.Database != strings.ReplaceAll(name, "-", "_") {
		t.Errorf("database %q for service %q", a.Database, name)
	}
	if err := pg.Migrate(t.Context(), a.OwnerDSN, things()); err != nil {
		t.Fatal(err)
	}
	const denied = "42501"
	for sql, want := range map[string]string{
		"INSERT INTO things VALUES (1, 'a')":        "",
		"UPDATE things SET name = 'b'":              "",
		"DELETE FROM things":                        "",
		"INSERT INTO records (text) VALUES ('a')":   "",
		"SELECT FROM records":                       "",
		"UPDATE records SET text = 'b'":             denied,
		"DELETE FROM records":                       denied,
		"TRUNCATE records":                          denied,
		"TRUNCATE things":                           denied,
		"CREATE TABLE mine (id int)":                denied,
		"DROP TABLE things":                         denied,
		"SELECT FROM things_goose":                  denied,
		"DELETE FROM things_goose":                  denied,
		"SET ROLE " + a.Database + "_owner":         denied,
		"ALTER TABLE records OWNER TO CURRENT_USER": denied,
	} {
		if code := pg.Code(exec(t, a.DSN, sql)); code != want {
			t.Errorf("%s: %q, want %q", sql, code, want)
		}
	}
	// Nobody else's roles come in.
	other := testkit.Database(t)
	stranger := strings.Replace(other.DSN, "/"+path(t, other.DSN)+"?", "/"+a.Database+"?", 1)
	if _, err := pgx.Connect(t.Context(), stranger); pg.Code(err) != denied {
		t.Errorf("another service's role connects: %v", err)
	}
}

func path(t *testing.T, dsn string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Database
}

func TestMigrateOrderAndRepeat(t *testing.T) {
	_, a := service(t)
	more := pg.MigrationSet{Name: "more", FS: fstest.MapFS{
		"0001_refer.sql": {Data: []byte("-- +goose Up\nCREATE TABLE more (thing bigint REFERENCES things);\n")},
	}}
	if err := pg.Migrate(t.Context(), a.OwnerDSN, more, things()); err == nil || !strings.Contains(err.Error(), "migrate more") {
		t.Fatalf("the wrong order: %v", err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := pg.Migrate(t.Context(), a.OwnerDSN, things(), more); err != nil {
				t.Errorf("one of several at once: %v", err)
			}
		})
	}
	all.Wait()
	if err := exec(t, a.DSN, "INSERT INTO more VALUES (NULL)"); err != nil {
		t.Error(err)
	}
	second := fstest.MapFS{
		"migrations/0001_create_things.sql": {Data: []byte(thingsSQL)},
		"migrations/0002_break.sql":         {Data: []byte("-- +goose Up\nCREATE TABLE half (id int);\nSELECT 1/0;\n")},
	}
	if err := pg.Migrate(t.Context(), a.OwnerDSN, pg.MigrationSet{Name: "things", FS: second}); pg.Code(err) != "22012" {
		t.Errorf("a broken migration: %v", err)
	}
	if err := exec(t, a.OwnerDSN, "SELECT FROM half"); pg.Code(err) != "42P01" {
		t.Errorf("a broken migration left its table: %v", err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	db := testkit.Database(t)
	if err := pg.Migrate(t.Context(), db.DSN, things()); err == nil || !strings.Contains(err.Error(), "_owner") {
		t.Errorf("as the run role: %v", err)
	}
	bad := things()
	bad.Name = "x; DROP"
	if err := pg.Migrate(t.Context(), db.OwnerDSN, bad); err == nil {
		t.Error("a bad name passed")
	}
	for _, name := range []string{"", "Upper", `a"b`, "1a"} {
		if _, err := pg.CreateDatabase(t.Context(), testkit.Postgres(t), name, "a", "b"); err == nil {
			t.Errorf("service %q passed", name)
		}
	}
	if _, err := pg.Login("host=/tmp user=me password=sesame", "u", "p", "d"); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("not a URL: %v", err)
	}
}
