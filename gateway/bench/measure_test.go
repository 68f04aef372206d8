//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

// The three ways of doing a thing.
const (
	byFloor = iota
	byGRPC
	byREST
	wayCount
)

func wayNames() []string { return []string{"floor", "gRPC", "REST"} }

// result is what was measured of one operation at one number of callers.
type result struct {
	operation operation
	callers   int
	rates     [wayCount][]float64 // of each round
	times     [wayCount][]time.Duration
	calls     [wayCount]int
	cpu       [wayCount]spent
}

// bench holds the stack and what measuring needs.
type bench struct {
	stack  *stack
	world  *world
	pools  map[string]*pgxpool.Pool // by service; as large as the most callers
	rounds int
	slice  time.Duration
	// profiles is the folder for profiles at profiledCallers; empty takes none.
	profiles string
}

const profiledCallers = 16

// run measures an operation in interleaved rounds.
func (b *bench) run(t *testing.T, o operation, callers int) *result {
	t.Helper()
	r := &result{operation: o, callers: callers}
	for w := range r.cpu {
		r.cpu[w] = spent{}
	}
	ways, done := b.ways(t, o, callers)
	defer done()
	for w := range ways { // fills caches and connections
		if _, _, err := measure.Drive(t.Context(), ways[w], b.slice/2); err != nil {
			t.Fatalf("%s by %s: %v", o.name, wayNames()[w], err)
		}
	}
	b.settle(t, o)
	if b.profiles != "" && callers == profiledCallers {
		b.profile(t, o, ways[byREST], b.profiles)
	}
	for round := range b.rounds {
		for turn := range ways {
			w := (round + turn) % wayCount
			b.once(t, r, w, ways[w])
		}
	}
	return r
}

// once is one slice of one way.
func (b *bench) once(t *testing.T, r *result, w int, calls []func(context.Context) error) {
	t.Helper()
	before, err := b.stack.usage()
	if err != nil {
		t.Fatal(err)
	}
	times, elapsed, err := measure.Drive(t.Context(), calls, b.slice)
	if err != nil {
		t.Fatalf("%s by %s: %v", r.operation.name, wayNames()[w], err)
	}
	b.settle(t, r.operation)
	after, err := b.stack.usage()
	if err != nil {
		t.Fatal(err)
	}
	r.rates[w] = append(r.rates[w], float64(len(times))/elapsed.Seconds())
	r.times[w] = append(r.times[w], times...)
	r.calls[w] += len(times)
	r.cpu[w].add(after.minus(before))
}

// ways gives the calls of each caller.
func (b *bench) ways(t *testing.T, o operation, callers int) (ways [wayCount][]func(context.Context) error, done func()) {
	t.Helper()
	pool := b.stack.connect(t, o.database, callers)
	token := b.world.manager
	if o.service == "customer-registry" {
		token = b.world.crm
	}
	var clients []*client
	for range callers {
		c, err := newClient(b.stack.rest)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		ways[byFloor] = append(ways[byFloor], func(ctx context.Context) error { return o.floor(ctx, pool) })
		ways[byGRPC] = append(ways[byGRPC], o.grpc)
		ways[byREST] = append(ways[byREST], func(context.Context) error {
			verb, target, body := o.rest()
			return c.call(token, verb, target, body)
		})
	}
	return ways, func() {
		for _, c := range clients {
			_ = c.conn.Close()
		}
		pool.Close()
	}
}

// settle waits until nothing goes on behind the answers: every event has its position and
// was applied by all who follow it, every audit record has its link.
func (b *bench) settle(t *testing.T, o operation) {
	t.Helper()
	if !o.writes {
		return
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		rest, err := b.waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rest == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events or audit records are still waiting after a minute", rest)
		}
	}
}

func (b *bench) waiting(ctx context.Context) (rest int64, err error) {
	var head int64
	err = b.pools["service-ticket"].QueryRow(ctx, `SELECT coalesce(max(position), 0),
  (SELECT count(*) FROM event_outbox WHERE position IS NULL) + (SELECT count(*) FROM audit_pending) FROM event_outbox`).Scan(&head, &rest)
	for name, pool := range b.pools {
		if err != nil || name == "service-ticket" {
			continue
		}
		var behind int64
		err = pool.QueryRow(ctx, `SELECT coalesce((SELECT sum($1 - position) FROM event_cursors WHERE source = 'service-ticket'), 0)
  + (SELECT count(*) FROM event_outbox WHERE position IS NULL) + (SELECT count(*) FROM audit_pending)`, head).Scan(&behind)
		rest += behind
	}
	if err != nil {
		return 0, fmt.Errorf("look for what still waits: %w", err)
	}
	return rest, nil
}
