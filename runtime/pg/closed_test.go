package pg_test

import (
	"fmt"
	"testing"

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
