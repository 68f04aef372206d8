package costtest

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

// The targets.
const (
	mostCPU   = 250 * time.Microsecond // a call
	mostShare = .3                     // of p50
)

// The ways of which slices alternate.
const (
	byOn     = iota // the server of production
	byOff           // the server that lets everybody in
	byRecord        // the transaction of a call with the audit record, by bare statements
	byRest          // the same without
	wayCount
)

// cost is what a call of one slice takes.
type cost struct{ cpu, p50 time.Duration }

func (c cost) minus(less cost) cost { return cost{c.cpu - less.cpu, c.p50 - less.p50} }
func (c cost) plus(more cost) cost  { return cost{c.cpu + more.cpu, c.p50 + more.p50} }

// result is what was measured of a case, in medians: of what calls cost without protection,
// and of the differences within the pairs, whose both sides met the same machine.
type result struct {
	name               string
	callers            int
	bare, chain, audit cost
}

func (r result) added() cost    { return r.chain.plus(r.audit) }
func (r result) share() float64 { return float64(r.added().p50) / float64(r.bare.p50) }
func (r result) met() bool      { return r.added().cpu <= mostCPU && r.share() <= mostShare }

// Run measures the cases and prints the table.
func (b *Bench) Run(cases ...Case) {
	b.t.Helper()
	var results []result
	for _, c := range cases {
		for _, callers := range []int{1, 16} {
			results = append(results, b.measure(c, callers))
		}
	}
	fmt.Printf("\nWhat protection adds to a call of %s: medians of %d pairs of %v each\n", b.service.Process.Name, pairs, slice)
	fmt.Print(measure.Table("protection|callers|CPU ms without|chain|audit|together, ≤ "+measure.Ms(mostCPU)+
		"|p50 ms without|chain|audit|together, ≤ "+percent(mostShare)+"|", func(row func(...any)) {
		for _, r := range results {
			row(r.name, r.callers, measure.Ms(r.bare.cpu), measure.Ms(r.chain.cpu), measure.Ms(r.audit.cpu), measure.Ms(r.added().cpu),
				measure.Ms(r.bare.p50), measure.Ms(r.chain.p50), measure.Ms(r.audit.p50), percent(r.share()),
				map[bool]string{true: "met", false: "MISSED"}[r.met()])
		}
	}))
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func (b *Bench) measure(c Case, callers int) result {
	b.t.Helper()
	ways := b.ways(c)
	took := [wayCount][]cost{}
	for w, call := range ways { // fills caches and connections
		b.once(c, w, call, callers)
	}
	for pair := range pairs {
		for turn := range ways {
			w := (pair + turn) % wayCount
			took[w] = append(took[w], b.once(c, w, ways[w], callers))
		}
	}
	r := result{name: c.Name, callers: callers, chain: between(took[byOn], took[byOff])}
	r.audit = between(took[byRecord], took[byRest])
	r.bare = between(took[byOff], nil).minus(r.audit)
	return r
}

func (b *Bench) ways(c Case) [wayCount]func(context.Context) error {
	batch := func(parts ...func(context.Context, *pg.Batch) error) func(context.Context) error {
		return func(ctx context.Context) error {
			return pg.InBatch(ctx, b.service.Pool, func(to *pg.Batch) error {
				for _, queue := range parts {
					if err := queue(ctx, to); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	ways := [wayCount]func(context.Context) error{
		byOn:  func(ctx context.Context) error { return c.Call(ctx, b.on) },
		byOff: func(ctx context.Context) error { return c.Call(ctx, b.off) },
	}
	switch {
	case c.Alone != nil:
		ways[byRecord] = c.Alone
	case c.Record != nil:
		ways[byRecord], ways[byRest] = batch(c.Rest, c.Record), batch(c.Rest)
	}
	return ways
}

// once is one slice of one way; nothing where the case does not have it.
func (b *Bench) once(c Case, way int, call func(context.Context) error, callers int) cost {
	b.t.Helper()
	if call == nil {
		return cost{}
	}
	calls := make([]func(context.Context) error, callers)
	for i := range calls {
		calls[i] = call
	}
	before := b.used()
	times, _, err := measure.Drive(c.As, calls, slice)
	if err != nil {
		b.t.Fatalf("%s, way %d: %v", c.Name, way, err)
	}
	b.settle()
	return cost{(b.used() - before) / time.Duration(len(times)), measure.Quantile(times, .5)}
}

// used is the processor time of this process, callers and servers alike, and of Postgres.
func (b *Bench) used() time.Duration {
	b.t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.t.Fatal(err)
	}
	sessions, err := measure.Postgres(b.postgres)
	if err != nil {
		b.t.Fatal(err)
	}
	sum := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for _, used := range sessions {
		sum += used
	}
	return sum
}

// settle waits until nothing goes on behind the answers: every event has its position,
// every audit record its link.
func (b *Bench) settle() {
	b.t.Helper()
	for deadline := time.Now().Add(settleLimit); ; time.Sleep(50 * time.Millisecond) {
		var rest int
		err := b.service.Pool.QueryRow(b.t.Context(), `SELECT (SELECT count(*) FROM event_outbox WHERE position IS NULL)
  + (SELECT count(*) FROM audit_pending)`).Scan(&rest)
		if err != nil {
			b.t.Fatal(err)
		}
		if rest == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d events or audit records still wait after %s", rest, settleLimit)
		}
	}
}

// between is the median of the differences, of the values themselves where there is nothing
// to take from them.
func between(of, less []cost) cost {
	cpu, p50 := make([]time.Duration, len(of)), make([]time.Duration, len(of))
	for i, c := range of {
		if less != nil {
			c = c.minus(less[i])
		}
		cpu[i], p50[i] = c.cpu, c.p50
	}
	return cost{measure.Quantile(cpu, .5), measure.Quantile(p50, .5)}
}
