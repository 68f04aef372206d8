package faultproxy_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/testkit/faultproxy"
)

var things = pg.MigrationSet{Name: "things", FS: fstest.MapFS{"0001_create_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE things (name text PRIMARY KEY);
`)}}}

// world is a database with a way through a proxy.
func world(t *testing.T) (*faultproxy.Proxy, *pgxpool.Pool, *testkit.DB) {
	t.Helper()
	db := testkit.Database(t, things)
	at := db.Pool.Config().ConnConfig
	network, address := pgconn.NetworkAddress(at.Host, at.Port)
	p, err := faultproxy.New(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	host, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(at.User, at.Password), Host: net.JoinHostPort(host, port), Path: "/" + at.Database}
	u.RawQuery = url.Values{"sslmode": {"disable"}}.Encode()
	pool, err := pg.Open(t.Context(), pg.Config{URL: u.String(), Application: "through", MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return p, pool, db
}

func insert(ctx context.Context, pool *pgxpool.Pool, name string) error {
	return pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO things VALUES ($1)`, name)
		return err
	})
}

func insertBatch(ctx context.Context, pool *pgxpool.Pool, name string) error {
	return pg.InBatch(ctx, pool, func(b *pg.Batch) error {
		_, err := b.Exec(ctx, `INSERT INTO things VALUES ($1)`, name)
		return err
	})
}

func kept(t *testing.T, db *testkit.DB, name string) bool {
	t.Helper()
	var found bool
	if err := db.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM things WHERE name = $1)`, name).Scan(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

func every(faultproxy.Session) bool { return true }

func TestACommitsAnswerIsLost(t *testing.T) {
	p, pool, db := world(t)
	for name, write := range map[string]func(context.Context, *pgxpool.Pool, string) error{"tx": insert, "batch": insertBatch} {
		t.Run(name, func(t *testing.T) {
			before := p.Commits()
			// New statements are prepared first; the second write is the ordinary one.
			for i := range 2 {
				if err := write(t.Context(), pool, name+strconv.Itoa(i)); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.Commits() - before; got != 2 {
				t.Errorf("%d commits seen of 2", got)
			}
			done := p.LoseCommit(every, 1)
			if err := write(t.Context(), pool, name+"skipped"); err != nil {
				t.Fatal(err)
			}
			err := write(t.Context(), pool, name+"lost")
			if !errors.Is(err, pg.ErrOutcomeUnknown) || !pg.Unavailable(err) {
				t.Errorf("a lost commit: %v", err)
			}
			if s := <-done; s.Application != "through" || s.Database == "" {
				t.Errorf("lost in %+v", s)
			}
			if !kept(t, db, name+"lost") {
				t.Error("the server did not get the commit")
			}
			if err := write(t.Context(), pool, name+"after"); err != nil {
				t.Errorf("the next write: %v", err)
			}
		})
	}
}

func TestOnlyMatchingSessionsAndOnlyCommits(t *testing.T) {
	p, pool, _ := world(t)
	done := p.LoseCommit(func(s faultproxy.Session) bool { return s.Application == "another" }, 0)
	if err := insert(t.Context(), pool, "a"); err != nil {
		t.Fatal(err)
	}
	before := p.Commits()
	tx, err := pool.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `INSERT INTO things VALUES ('b')`)
	}
	if err == nil {
		err = tx.Rollback(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Commits() - before; got != 0 {
		t.Errorf("%d commits in a transaction that was rolled back", got)
	}
	select {
	case s := <-done:
		t.Errorf("lost in %+v", s)
	default:
	}
}

func TestCut(t *testing.T) {
	p, pool, _ := world(t)
	p.Cut()
	if err := insert(t.Context(), pool, "a"); !pg.Unavailable(err) {
		t.Errorf("while cut: %v", err)
	}
	p.Heal()
	if err := insert(t.Context(), pool, "a"); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func TestSilenceAndDelay(t *testing.T) {
	p, pool, db := world(t)
	p.Silence()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := insert(ctx, pool, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in silence: %v", err)
	}
	p.Heal()
	if err := insert(t.Context(), pool, "b"); err != nil || kept(t, db, "a") {
		t.Errorf("healed: %v", err)
	}
	p.Delay(50 * time.Millisecond)
	began := time.Now()
	if err := insert(t.Context(), pool, "c"); err != nil || time.Since(began) < 150*time.Millisecond {
		t.Errorf("three answers, each late: %v after %v", err, time.Since(began))
	}
}
