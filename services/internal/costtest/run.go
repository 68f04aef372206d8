package costtest

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

// The targets.
const (
	mostCPU   = 250 * time.Microsecond // a call
	mostShare = .3                     // of p50
)

// The ways of which slices alternate. A case has those that it needs.
const (
	byOn     = iota // the server of production
	byOff           // the server that lets everybody in
	byBare          // that server where it leaves no record either
	byRecord        // the transaction of a call with the audit record, by bare statements
	byRest          // the same without
	wayCount
)

// cost is what a call takes.
type cost struct{ cpu, p50 time.Duration }

func (c cost) minus(less cost) cost { return cost{c.cpu - less.cpu, c.p50 - less.p50} }
func (c cost) plus(more cost) cost  { return cost{c.cpu + more.cpu, c.p50 + more.p50} }

// round is what each way cost in one round.
type round [wayCount]cost

// total is what all ways together cost of processor time.
func (r round) total() (sum time.Duration) {
	for _, c := range r {
		sum += c.cpu
	}
	return sum
}

// quieter is the half of the rounds in which all ways together cost least. What else goes on on a
// machine makes every call dearer and none cheaper, by a half for seconds where its processors
// are shared. The total favours no way. It puts the rounds in the order of their totals.
func quieter(of []round) []round {
	slices.SortFunc(of, func(a, b round) int { return cmp.Compare(a.total(), b.total()) })
	return of[:(len(of)+1)/2]
}

// result is what was measured of a case, in medians over the quieter rounds: of what calls cost
// without protection, and of the differences within the rounds, whose sides met the same machine.
// doubt is the standard error of added, noise how much more the other rounds took than the quieter.
type result struct {
	name                      string
	callers                   int
	bare, chain, audit, added cost
	doubt                     time.Duration // of processor time
	noise                     float64
}

func (r result) share() float64 { return float64(r.added.p50) / float64(r.bare.p50) }
func (r result) met() bool      { return r.added.cpu <= mostCPU && r.share() <= mostShare }

var only = flag.String("only", "", "measure the cases alone whose name holds this")

// Run measures the cases and prints the table.
func (b *Bench) Run(cases ...Case) {
	b.t.Helper()
	var results []result
	for _, c := range cases {
		if !strings.Contains(c.Name, *only) {
			continue
		}
		for _, callers := range []int{1, 16} {
			results = append(results, b.measure(c, callers))
		}
	}
	fmt.Printf("\nWhat protection adds to a call of %s: medians of the quieter half of the rounds, ± their standard errors\n",
		b.service.Process.Name)
	fmt.Print(measure.Table("protection|callers|CPU ms without|chain|audit|together, ≤ "+measure.Ms(mostCPU)+
		"|p50 ms without|chain|audit|together, ≤ "+percent(mostShare)+"||the other rounds", func(row func(...any)) {
		for _, r := range results {
			row(r.name, r.callers, measure.Ms(r.bare.cpu), measure.Ms(r.chain.cpu), measure.Ms(r.audit.cpu),
				measure.Ms(r.added.cpu)+" ± "+measure.Ms(r.doubt),
				measure.Ms(r.bare.p50), measure.Ms(r.chain.p50), measure.Ms(r.audit.p50), percent(r.share()),
				map[bool]string{true: "met", false: "MISSED"}[r.met()], "+"+percent(r.noise))
		}
	}))
	b.floor(cases[0].As)
}

// floor prints what the least durable commit costs, below which no record of a read can be.
func (b *Bench) floor(as context.Context) {
	least := Case{Name: "a commit", As: as}
	commit := func(ctx context.Context) error {
		_, err := b.service.Pool.Exec(ctx, `SELECT pg_logical_emit_message(true, 'bench', '')`)
		return err
	}
	for _, callers := range []int{1, 16} {
		var took []cost
		for range passing.rounds {
			took = append(took, b.once(least, byRecord, commit, callers, passing))
		}
		c := quantile(took, .5)
		fmt.Printf("the least commit, callers %d: %s ms of processor time, p50 %s ms\n", callers, measure.Ms(c.cpu), measure.Ms(c.p50))
	}
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func (b *Bench) measure(c Case, callers int) result {
	b.t.Helper()
	ways := b.ways(c)
	out := result{name: c.Name, callers: callers}
	if c.Record != nil {
		served, rows := b.alternate(c, callers, writing, ways, byOn, byOff), b.alternate(c, callers, recorded, ways, byRecord, byRest)
		chain, record := served.less(byOn, byOff), rows.less(byRecord, byRest)
		out.chain, out.audit = quantile(chain, .5), quantile(record, .5)
		out.bare, out.added = quantile(served.of(byOff), .5).minus(out.audit), out.chain.plus(out.audit)
		out.doubt = time.Duration(math.Hypot(float64(standardError(chain)), float64(standardError(record))))
		out.noise = max(served.noise, rows.noise)
		return out
	}
	at, least := passing, byOff // what added is measured against
	if c.Recorded {
		at, least = recorded, byBare
	}
	took := b.alternate(c, callers, at, ways, slices.Compact([]int{byOn, byOff, least})...)
	added := took.less(byOn, least)
	out.bare, out.chain, out.audit = quantile(took.of(least), .5), quantile(took.less(byOn, byOff), .5), quantile(took.less(byOff, least), .5)
	out.added, out.doubt, out.noise = quantile(added, .5), standardError(added), took.noise
	return out
}

// taken are the quieter of the rounds in which some ways alternated.
type taken struct {
	rounds []round
	noise  float64
}

// alternate gives each of the turns, which are ways, its slice in every round.
func (b *Bench) alternate(c Case, callers int, at pace, ways [wayCount]func(context.Context) error, turns ...int) taken {
	b.t.Helper()
	for _, w := range turns {
		b.once(c, w, ways[w], callers, at) // fills caches and connections
	}
	all := make([]round, at.rounds)
	for i := range all {
		// At random: one way must not always have its turn after the same other.
		rand.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
		for _, w := range turns {
			all[i][w] = b.once(c, w, ways[w], callers, at)
		}
	}
	quiet := quieter(all)
	middle := func(of []round) float64 { return float64(of[len(of)/2].total()) }
	return taken{quiet, middle(all[len(quiet):])/middle(quiet) - 1}
}

// of is what a way cost in each round.
func (t taken) of(way int) (out []cost) {
	for _, r := range t.rounds {
		out = append(out, r[way])
	}
	return out
}

// less is how much more than another a way cost in each round.
func (t taken) less(way, other int) (out []cost) {
	for _, r := range t.rounds {
		out = append(out, r[way].minus(r[other]))
	}
	return out
}

// standardError is that of the median of processor times, as of normally distributed ones by how far
// their middle half lies apart: 1.2533 σ/√n, of which that is 1.349 σ.
func standardError(of []cost) time.Duration {
	apart := quantile(of, .75).minus(quantile(of, .25)).cpu
	return time.Duration(1.2533 / 1.349 * float64(apart) / math.Sqrt(float64(len(of))))
}

// ways are those of a case, nil in the place of the others.
func (b *Bench) ways(c Case) [wayCount]func(context.Context) error {
	on := func(conn *grpc.ClientConn) func(context.Context) error {
		return func(ctx context.Context) error { return c.Call(ctx, conn) }
	}
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
	ways := [wayCount]func(context.Context) error{byOn: on(b.on), byOff: on(b.off)}
	switch {
	case c.Recorded:
		ways[byBare] = on(b.bare)
	case c.Record != nil:
		ways[byRecord], ways[byRest] = batch(c.Rest, c.Record), batch(c.Rest)
	}
	return ways
}

// once is one slice of one way. What the slice before left to be collected is not this one's. Where
// ways wait for what goes on behind the last call, all do: a service that does nothing takes time too.
func (b *Bench) once(c Case, way int, call func(context.Context) error, callers int, at pace) cost {
	b.t.Helper()
	calls := make([]func(context.Context) error, callers)
	for i := range calls {
		calls[i] = call
	}
	runtime.GC()
	sessions := b.sessions()
	before := b.own()
	times, _, err := measure.Drive(c.As, calls, at.slice)
	if err != nil {
		b.t.Fatalf("%s, way %d: %v", c.Name, way, err)
	}
	if at.waits {
		time.Sleep(settles)
		b.settle()
	}
	cpu := b.own() - before + since(sessions, b.sessions())
	return cost{cpu / time.Duration(len(times)), measure.Quantile(times, .5)}
}

// own is the processor time so far of this process, callers and servers alike.
func (b *Bench) own() time.Duration {
	b.t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.t.Fatal(err)
	}
	return time.Duration(own.Utime.Nano() + own.Stime.Nano())
}

// sessions is that of each process of Postgres. Looking it up takes time of this one.
func (b *Bench) sessions() map[int]time.Duration {
	b.t.Helper()
	out, err := measure.Postgres(b.postgres)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// since leaves out what a process of Postgres used that has ended: what it had used before, too,
// is gone with it.
func since(before, now map[int]time.Duration) (sum time.Duration) {
	for pid, used := range now {
		sum += used - before[pid]
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
  + (SELECT count(*) FROM audit_pending) + (SELECT count(*) FROM audit_reads)`).Scan(&rest)
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

// quantile is that of each part of the costs.
func quantile(of []cost, q float64) cost {
	cpu, p50 := make([]time.Duration, len(of)), make([]time.Duration, len(of))
	for i, c := range of {
		cpu[i], p50[i] = c.cpu, c.p50
	}
	return cost{measure.Quantile(cpu, q), measure.Quantile(p50, q)}
}
