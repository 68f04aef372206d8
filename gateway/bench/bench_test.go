//go:build bench

// Package bench measures the running suite against what its database alone would do:
// the same statements by bare pgx (the floor), the service over gRPC, and the gateway
// over REST, in interleaved slices of one run. The numbers to read are the ratios and the
// processor time, which hold on a busy machine; the rates do not.
package bench

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

type options struct {
	bin, only, profiles        string
	rounds, tickets, customers int
	slice                      time.Duration
}

func readOptions() *options {
	o := new(options)
	flag.StringVar(&o.bin, "programs", "", "folder of built programs; empty builds them")
	flag.StringVar(&o.only, "only", "", "measure operations whose name holds this")
	flag.StringVar(&o.profiles, "profiles", "", "folder for CPU profiles; empty takes none")
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	flag.IntVar(&o.tickets, "tickets", 1_000_000, "seeded tickets")
	flag.IntVar(&o.customers, "customers", 200_000, "seeded customers")
	flag.DurationVar(&o.slice, "slice", 600*time.Millisecond, "time of one way in one round")
	return o
}

// few is the size against which the long list is held.
const few = 10_000

func TestMain(m *testing.M) {
	given := readOptions()
	flag.Parse()
	chosen = *given
	os.Exit(m.Run())
}

// chosen are the flags, set once by TestMain.
var chosen options

func TestBench(t *testing.T) {
	o, began := chosen, time.Now()
	s := startStack(t, o.bin)
	w := newWorld(t, s)
	b := &bench{stack: s, world: w, rounds: o.rounds, slice: o.slice, profiles: o.profiles, pools: s.pools(t)}
	tickets, registry := b.pools["service-ticket"], b.pools["customer-registry"]
	note := func(format string, args ...any) {
		fmt.Printf("%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	note("the stack is up")
	idle, err := s.resident()
	if err != nil {
		t.Fatal(err)
	}
	run(t, tickets, seedRefs, known)
	w.inTickets, w.inCRM = o.tickets, o.customers
	s.seedCustomersTo(t, registry, o.customers)
	note("%d customers", o.customers)

	seedTicketsTo(t, tickets, 0, min(few, o.tickets))
	var short *result
	if o.tickets > few && selected(o, w.list()) {
		short = b.run(t, w.list(), 1)
		note("the list of %d tickets is measured", few)
		seedTicketsTo(t, tickets, few, o.tickets)
	}
	note("%d tickets", o.tickets)
	w.sample(t, tickets)

	var results []*result
	for _, operation := range []operation{
		w.get(), w.list(), w.search("search: name", func(n []rune) []rune { return n[:6] }),
		w.search("search: 2 characters", func(n []rune) []rune { return n[2:4] }), w.searchPhone(), w.create(),
	} {
		if !selected(o, operation) {
			continue
		}
		for _, callers := range []int{1, 16, 32} {
			results = append(results, b.run(t, operation, callers))
		}
		note("%s is measured", operation.name)
	}
	b.checkNothingFailed(t)
	after, err := s.resident()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%d processors, %s; load %s; %d tickets, %d customers; median of %d rounds of %v each\n",
		runtime.NumCPU(), memory(), load(), o.tickets, o.customers, o.rounds, o.slice)
	fmt.Print(rateTable(results), latencyTable(results), cpuTable(results), partTable(results), memoryTable(idle, after), verdicts(results, short))
}

// pools opens each service's database.
func (s *stack) pools(t *testing.T) map[string]*pgxpool.Pool {
	t.Helper()
	pools := map[string]*pgxpool.Pool{}
	for _, service := range []string{"customer-registry", "service-ticket", "complaint", "survey"} {
		pools[service] = s.connect(t, strings.ReplaceAll(service, "-", "_"), 4)
	}
	return pools
}

func selected(o options, op operation) bool { return strings.Contains(op.name, o.only) }

// checkNothingFailed makes sure that the numbers are of work that was done.
func (b *bench) checkNothingFailed(t *testing.T) {
	t.Helper()
	for service, pool := range b.pools {
		var parked int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM event_parked`).Scan(&parked); err != nil || parked > 0 {
			t.Errorf("%s parked %d events: %v", service, parked, err)
		}
	}
}

// load is that of the last minute, by which to judge the rates.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(raw))[0]
}

func memory() string {
	raw, err := os.ReadFile("/proc/meminfo")
	var kib int
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "MemTotal: %d kB", &kib)
	}
	if err != nil {
		return "unknown memory"
	}
	return fmt.Sprintf("%d GiB", kib>>20)
}
