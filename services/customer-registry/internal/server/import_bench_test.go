//go:build bench

package server_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

var importRows = flag.Int("rows", 20_000, "rows of the import that is measured")

// imported are the tables that an import writes rows of customers to.
var importedTables = []string{"subject_keys", "customers", "customer_summaries", "event_outbox", "audit_records", "audit_pending"}

// TestBenchImport measures an import against a bare COPY of the same finished rows into the
// same tables with the same indexes, and the memory that it holds; part of make bench.
func TestBenchImport(t *testing.T) {
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, t.TempDir()))
	pairs := 3
	if *importRows > 100_000 {
		pairs = 1
	}
	var ratios []float64
	for range pairs {
		r := start(t)
		made := r.uploadRows(t, *importRows)
		peak, stop := watchMemory()
		began := time.Now()
		if err := r.WorkSheets(t.Context()); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		stop()
		if got := r.sheet(t, made); got.GetCreated() != int64(*importRows) {
			t.Fatalf("import %v", got)
		}
		t.Logf("%d rows imported in %.1f s, heap at most %d MiB", *importRows, took.Seconds(), peak.Load()>>20)
		floor := r.copyOver(t, start(t))
		ratio := floor.Seconds() / took.Seconds()
		ratios = append(ratios, ratio)
		t.Logf("%d rows: import %.1f s (%.0f/s), bare COPY %.1f s (%.0f/s), ratio %.2f, heap at most %d MiB", *importRows,
			took.Seconds(), float64(*importRows)/took.Seconds(), floor.Seconds(), float64(*importRows)/floor.Seconds(), ratio, peak.Load()>>20)
	}
	slices.Sort(ratios)
	if median := ratios[len(ratios)/2]; median < 0.3 {
		t.Errorf("the median ratio is %.2f, the target 0.3", median)
	}
}

// uploadRows uploads a file of so many rows and returns its import.
func (r *registry) uploadRows(t *testing.T, n int) string {
	t.Helper()
	made := r.begin(t, plan())
	stream, err := r.imports.UploadCustomerImport(r.admin())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(sheetHeading)
	offset := int64(0)
	for i := range n {
		fmt.Fprintf(&b, "E-%d,宁波海达船舶有限公司 %d,distributor,organisation,138%08d,buyer%d@example.com,宁波,2019-03-04\n", i, i, i%100_000_000, i)
		if b.Len() > 2<<20 || i == n-1 {
			data := []byte(b.String())
			if err := stream.Send(&customerv1.UploadCustomerImportRequest{Id: made.GetId(), Offset: offset, Data: data, Last: i == n-1}); err != nil {
				t.Fatal(err)
			}
			offset += int64(len(data))
			b.Reset()
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	return made.GetId()
}

// watchMemory notes the largest heap until it is stopped.
func watchMemory() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return peak, func() { close(end); <-done }
}

// copyOver copies the finished rows to the empty tables of another database and tells how long
// they took to come in.
func (r *registry) copyOver(t *testing.T, to *registry) time.Duration {
	t.Helper()
	dir := t.TempDir()
	from, err := r.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Release()
	into, err := to.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer into.Release()
	// The import's own key and the record of its own steps are not the customers'.
	which := map[string]string{"subject_keys": "SELECT k.* FROM subject_keys k JOIN customers c ON c.id = k.subject_id"}
	for _, table := range importedTables {
		query := which[table]
		if query == "" {
			query = "SELECT * FROM " + table
		}
		out, err := os.Create(filepath.Join(dir, table))
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{"SET statement_timeout = 0"} {
			if _, err := from.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
			if _, err := into.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := from.Conn().PgConn().CopyTo(t.Context(), out, "COPY ("+query+") TO STDOUT (FORMAT binary)"); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for _, table := range importedTables {
		in, err := os.Open(filepath.Join(dir, table))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := into.Conn().PgConn().CopyFrom(t.Context(), in, "COPY "+table+" FROM STDIN (FORMAT binary)"); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(began)
}
