//go:build long

package audit_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// TestLongTrail verifies a million records in one pass and says how fast, and with how much
// memory.
func TestLongTrail(t *testing.T) {
	const n = 1_000_000
	db := testkit.Database(t, audit.Migrations())
	owner, err := pgx.Connect(t.Context(), db.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if err := audit.Fill(t.Context(), owner, key, n); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), `ANALYZE audit_records, audit_chain, audit_search`); err != nil {
		t.Fatal(err)
	}
	file := audit.AnchorFile(t.TempDir(), "x")
	if _, err := audit.Anchor(t.Context(), db.Pool, file, time.Now()); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	most, done := make(chan uint64), make(chan struct{})
	go func() {
		var peak uint64
		for {
			select {
			case <-done:
				most <- peak
				return
			case <-time.After(20 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	}()
	began := time.Now()
	v, err := audit.VerifyAnchored(t.Context(), db.Pool, key, file)
	took := time.Since(began)
	close(done)
	peak := <-most
	if err != nil || v.Records != n || v.Anchors != 1 {
		t.Fatalf("VerifyAnchored = %+v, %v", v, err)
	}
	t.Logf("%d records in %s, %.0f a second, at most %d MiB of heap", n, took.Round(time.Millisecond), n/took.Seconds(), peak>>20)
	if peak > 64<<20 {
		t.Errorf("the heap grew to %d MiB; the walk must not keep what it has passed", peak>>20)
	}
}
