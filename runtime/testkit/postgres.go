// Package testkit gives tests the real things to run against.
//
// Nothing here is a stand-in: databases are clones on a real Postgres, made
// ready once for all test binaries of a checkout. What cannot be had fails the
// test with the command that helps; nothing is skipped.
package testkit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/localpg"
	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	// The role tests run as; its owner is testRole + "_owner".
	testRole   = "kefu_test"
	testOwner  = testRole + "_owner"
	clonePfx   = "kefu_clone_"
	cloneAge   = time.Hour
	closeWait  = 5 * time.Second
	databaseDo = 2 * time.Minute
)

// DB is one test's own database. It is dropped when the test ends.
type DB struct {
	// Pool connects as the run role, so missing grants show in tests.
	Pool *pgxpool.Pool
	// DSN logs in as the run role, OwnerDSN as the owner.
	DSN, OwnerDSN string
}

// Database returns a new database with these migrations applied in this order.
// They run once for each distinct content, into a template that every test of
// every package clones. When the test ends the pool is closed, a connection
// still in use after five seconds fails the test, and the database is dropped
// whoever is connected. Without a Postgres the test fails with what to do.
func Database(t testing.TB, sets ...pg.MigrationSet) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseDo)
	defer cancel()
	s, err := shared()
	if err != nil {
		t.Fatalf("no database for the tests: %v", err)
	}
	name, err := s.clone(ctx, sets)
	if err != nil {
		t.Fatalf("make a test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), databaseDo)
		defer cancel()
		if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	db := new(DB)
	if db.DSN, err = pg.Login(s.admin, testRole, s.password, name); err != nil {
		t.Fatal(err)
	}
	if db.OwnerDSN, err = pg.Login(s.admin, testOwner, s.password, name); err != nil {
		t.Fatal(err)
	}
	db.Pool = open(t, db.DSN)
	return db
}

// Owner returns a pool that connects as the database's owner, for what the run
// role may not do. It is closed when the test ends.
func (db *DB) Owner(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, db.OwnerDSN)
}

// Later adds a column to every table, as a migration of a later release may while services of this
// one still run.
func (db *DB) Later(t testing.TB) {
	t.Helper()
	_, err := db.Owner(t).Exec(t.Context(), `
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I ADD COLUMN of_a_later_release text', name);
  END LOOP;
END $$`)
	if err != nil {
		t.Fatalf("migrate as a later release: %v", err)
	}
}

// Postgres returns an administrator's URL of the server the tests share, for
// tests that bring up whole programs. What they create there they must drop.
// Without a Postgres the test fails with what to do.
func Postgres(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("no database for the tests: %v", err)
	}
	return s.admin
}

func open(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseDo)
	defer cancel()
	// Filling a table for a plan test may take long on a busy machine, and so may what racing calls wait for.
	pool, err := pg.Open(ctx, pg.Config{
		URL: dsn, Application: filepath.Base(os.Args[0]), MaxConns: 10, StatementTimeout: time.Minute, LockTimeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(closeWait):
			t.Errorf("the test left %d database connections in use", pool.Stat().AcquiredConns())
		}
	})
	return pool
}

// server is the Postgres all test binaries share.
type server struct {
	admin, password string
	// How to copy a template. Files are quicker where nothing is synced; the
	// two checkpoints they need are dear on a server that is not ours.
	strategy string
}

// shared is made once a process: the keeper of the server counts processes.
var shared = sync.OnceValues(connect)

func connect() (server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir, err := serverDir()
	if err != nil {
		return server{}, err
	}
	external := os.Getenv("KEFU_DATABASE_URL")
	pgserver, err := localpg.Share(ctx, localpg.Options{
		Dir:      dir,
		AdminURL: external,
		Path:     os.Getenv("PATH"),
		Log:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Volatile: true,
	})
	if err != nil {
		return server{}, err
	}
	// The roles' password follows from the administrator's, so that every test
	// binary knows it and nobody else does.
	sum := sha256.Sum256([]byte("kefu test roles\x00" + pgserver.AdminURL()))
	s := server{admin: pgserver.AdminURL(), password: hex.EncodeToString(sum[:16]), strategy: "file_copy"}
	if external != "" {
		s.strategy = "wal_log"
	}
	if err := s.locked(ctx, testRole, func(conn *pgx.Conn) error {
		if err := pg.CreateRoles(ctx, s.admin, testRole, s.password, s.password); err != nil {
			return err
		}
		return dropStale(ctx, conn)
	}); err != nil {
		return server{}, fmt.Errorf("prepare the test server: %w", err)
	}
	return s, nil
}

// serverDir is inside the checkout, or in the user's cache outside of one.
func serverDir() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return filepath.Join(dir, ".kefu", "testpg"), nil
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "kefu", "testpg"), nil
}

// clone returns the name of a new copy of the template.
func (s server) clone(ctx context.Context, sets []pg.MigrationSet) (string, error) {
	template, err := templateName(sets)
	if err != nil {
		return "", err
	}
	name := clonePfx + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text()[:12])
	create := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template) + " OWNER " + quote(testOwner) +
		" STRATEGY " + s.strategy
	// Nearly always the template is there: try before asking.
	if err = s.exec(ctx, create); pg.Code(err) != missingDatabase {
		return name, err
	}
	if err := s.makeTemplate(ctx, template, sets); err != nil {
		return "", fmt.Errorf("migrate the template: %w", err)
	}
	return name, s.exec(ctx, create)
}

// dropStale drops clones that a killed test binary left.
func dropStale(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, clonePfx)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		made, _, _ := strings.Cut(strings.TrimPrefix(name, clonePfx), "_")
		seconds, err := strconv.ParseInt(made, 10, 64)
		if err != nil || time.Since(time.Unix(seconds, 0)) < cloneAge {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)); err != nil && pg.Code(err) != databaseInUse {
			return err
		}
	}
	return nil
}
