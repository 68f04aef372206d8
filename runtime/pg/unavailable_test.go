package pg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// A pool may hand out a connection that turns out closed before a statement is sent; what
// pgx was about to do with it stands around the error.
func TestClosedConnectionIsUnavailable(t *testing.T) {
	db := testkit.Database(t)
	conn, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if err := conn.Conn().Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `SELECT 1`)
	if wrapped := fmt.Errorf("failed to deallocate cached statement(s): %w", err); err == nil || !pg.Unavailable(err) || !pg.Unavailable(wrapped) {
		t.Errorf("unavailable %v, wrapped %v: %v", pg.Unavailable(err), pg.Unavailable(wrapped), err)
	}
}

// A server that takes the connection and says nothing is not there; a caller who has no time
// to find that out is told of their own deadline.
func TestSilentServerIsUnavailable(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	pool, err := pgxpool.New(t.Context(), "postgres://u:p@"+silent.Addr().String()+"/db?sslmode=disable&connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, err = pool.Exec(t.Context(), `SELECT 1`)
	if !pg.Unavailable(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer within the time to connect: unavailable %v: %v", pg.Unavailable(err), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err = pool.Exec(ctx, `SELECT 1`); pg.Unavailable(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller without time: unavailable %v: %v", pg.Unavailable(err), err)
	}
}
