//go:build bench

package server_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// resident is the memory that the system counts for this process.
func resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("the system tells no VmRSS")
	return 0
}

// TestBenchCampaign asks a hundred thousand customers and watches what memory that takes.
func TestBenchCampaign(t *testing.T) {
	const customers, most = 100_000, 64 << 20
	k := newKit(t)
	if _, err := k.Pool.Exec(t.Context(), `INSERT INTO customer_refs (id, number, kind, tier, region, status, service_quality_consent, language, version)
		SELECT lpad(to_hex(n), 32, '0')::uuid, 'C-' || n, 3, 1 + n % 4, '', 1, true, 'en', 1 FROM generate_series(1, $1::integer) n`, customers); err != nil {
		t.Fatal(err)
	}
	c := k.campaign(nil)
	k.schedule(c.GetId())
	// Neither the fakes' record of calls nor that of messages is the service's memory.
	k.sender.forgets = true
	k.registry.set(func(r *registry) { r.forgets = true })
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	rss := resident(t)
	ctx, done := context.WithCancel(t.Context())
	worst := make(chan [2]int64)
	go func() {
		var heap, memory int64
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				worst <- [2]int64{heap, memory}
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				heap, memory = max(heap, int64(now.HeapAlloc)-int64(before.HeapAlloc)), max(memory, resident(t)-rss)
			}
		}
	}()
	start := time.Now()
	p := k.run(c.GetId())
	took := time.Since(start)
	done()
	grown := <-worst
	if p.GetCounts().GetAsked() != customers || p.GetMessages().GetLeft() != customers {
		t.Errorf("progress %v", p)
	}
	t.Logf("%d invitations in %v, %.0f a second; heap grew by at most %d MiB, resident memory by %d MiB",
		customers, took.Round(time.Second), customers/took.Seconds(), grown[0]>>20, grown[1]>>20)
	if grown[0] > most || grown[1] > 2*most {
		t.Errorf("the heap grew by %d MiB, resident memory by %d MiB", grown[0]>>20, grown[1]>>20)
	}
}
