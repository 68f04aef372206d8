package event_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

type handler = func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error

func consumer(db *testkit.DB, conn grpc.ClientConnInterface, handle handler) *event.Consumer {
	c := &event.Consumer{Name: "effects", Source: "things", Conn: conn, Pool: db.Pool, Log: quiet(), Handle: handle}
	c.SetPace(time.Millisecond, 10*time.Millisecond, 50*time.Millisecond)
	return c
}

// consumers apply events in both ways, each by itself and in runs.
var consumers = map[string]func(db *testkit.DB, conn grpc.ClientConnInterface, handle handler) *event.Consumer{
	"each": consumer,
	"runs": func(db *testkit.DB, conn grpc.ClientConnInterface, handle handler) *event.Consumer {
		c := consumer(db, conn, nil)
		c.HandleAll = func(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope) error {
			for _, e := range events {
				if err := handle(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		}
		return c
	},
}

// effect leaves a row for each event, without any guard of its own against a second one.
func effect(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
	_, err := tx.Exec(ctx, `INSERT INTO effects (position, subject_id, version) VALUES ($1, $2, $3)`,
		e.GetPosition(), e.GetSubjectId(), e.GetSubjectVersion())
	return err
}

func effects(t *testing.T, db *testkit.DB) int {
	t.Helper()
	return scalar[int](t, db.Pool, `SELECT count(*) FROM effects`)
}

// checkEffects checks that each of n events had its effect once and in order per subject.
func checkEffects(t *testing.T, db *testkit.DB, n int) {
	t.Helper()
	if got := scalar[int](t, db.Pool, `SELECT count(DISTINCT position) FROM effects`); got != n || effects(t, db) != n {
		t.Errorf("%d effects of %d events, want %d of each", effects(t, db), got, n)
	}
	disorder := scalar[int](t, db.Pool, `
SELECT count(*) FROM (SELECT version - lag(version, 1, 0::bigint) OVER (PARTITION BY subject_id ORDER BY n) AS step FROM effects) AS s WHERE step <> 1`)
	if disorder != 0 {
		t.Errorf("%d effects out of their subject's order", disorder)
	}
}

// Two replicas consume; each is cut off in the middle of its work again and again.
func TestConsumerExactlyOnceAcrossKills(t *testing.T) {
	for name, consumer := range consumers {
		t.Run(name, func(t *testing.T) { consumerExactlyOnceAcrossKills(t, consumer) })
	}
}

func consumerExactlyOnceAcrossKills(t *testing.T, consumer func(*testkit.DB, grpc.ClientConnInterface, handler) *event.Consumer) {
	const n = 2000
	source, sink := database(t), database(t)
	fill(t, source, n, nil)
	conn := serve(t, event.NewServer(source.Pool, quiet()))
	replica := func(ctx context.Context) error {
		for round := 1; ctx.Err() == nil; round++ {
			life, end := context.WithCancel(ctx)
			var handled atomic.Int64
			c := consumer(sink, conn, func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
				if handled.Add(1) == int64(37*round) {
					end()
				}
				return effect(ctx, tx, e)
			})
			err := c.Run(life)
			end()
			if err != nil {
				return err
			}
		}
		return nil
	}
	stops := []func(){start(t, replica), start(t, replica)}
	eventually(t, "all applied", func() bool { return effects(t, sink) >= n })
	for _, stop := range stops {
		stop()
	}
	checkEffects(t, sink, n)
	if p := scalar[int](t, sink.Pool, `SELECT position FROM event_cursors`); p != n {
		t.Errorf("cursor at %d, want %d", p, n)
	}
}

// The source's database ends all sessions while events are made and consumed.
func TestConsumerSurvivesItsDatabases(t *testing.T) {
	source, sink := database(t), database(t)
	sequencer, server, _ := sequence(t, source)
	conn := serve(t, server)
	for range 2 {
		start(t, consumer(sink, conn, effect).Run)
	}
	subjects := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	const n = 120
	for i := range n {
		commitChange(t, source, subjects[i%len(subjects)])
		sequencer.Wake()
		if i%40 == 20 {
			for _, db := range []*testkit.DB{source, sink} {
				killSessions(t, db)
			}
		}
	}
	eventually(t, "all applied", func() bool { return effects(t, sink) >= n })
	checkOrder(t, source, n)
	checkEffects(t, sink, n)
}

// killSessions ends every other session of the run role and empties the pool of them.
func killSessions(t *testing.T, db *testkit.DB) {
	t.Helper()
	_, err := db.Pool.Exec(context.Background(), `
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`)
	must(t, err)
	db.Pool.Reset()
}

func TestPoisonIsParkedAndItsSubjectWaits(t *testing.T) {
	for name, consumer := range consumers {
		t.Run(name, func(t *testing.T) { poisonIsParkedAndItsSubjectWaits(t, consumer) })
	}
}

func poisonIsParkedAndItsSubjectWaits(t *testing.T, consumer func(*testkit.DB, grpc.ClientConnInterface, handler) *event.Consumer) {
	const n, bad = 70, 10 // subject 3 has positions 3, 10, 17, …
	source, sink := database(t), database(t)
	fill(t, source, n, nil)
	conn := serve(t, event.NewServer(source.Pool, quiet()))
	var fixed atomic.Bool
	var tries atomic.Int64
	c := consumer(sink, conn, func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
		if e.GetPosition() != bad || fixed.Load() {
			return effect(ctx, tx, e)
		}
		if tries.Add(1)%2 == 0 {
			panic("in the handler")
		}
		return errors.Join(effect(ctx, tx, e), errPoison)
	})
	registry := prometheus.NewRegistry()
	c.Registerer = registry
	start(t, c.Run)
	eventually(t, "the others applied", func() bool { return effects(t, sink) == n-9 })
	parked := func() []int64 {
		rows, _ := sink.Pool.Query(context.Background(), `SELECT position FROM event_parked ORDER BY position`)
		got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		must(t, err)
		return got
	}
	if got, want := parked(), []int64{10, 17, 24, 31, 38, 45, 52, 59, 66}; !slices.Equal(got, want) {
		t.Errorf("parked %v, want %v", got, want)
	}
	eventually(t, "the parked one is tried again", func() bool {
		return scalar[int](t, sink.Pool, `SELECT tries FROM event_parked WHERE position = 10`) > 10
	})
	if got := effects(t, sink); got != n-9 {
		t.Errorf("%d effects while the poison stands, want %d", got, n-9)
	}
	eventually(t, "the metric counts them", func() bool { return gauge(t, registry, "kefu_event_consumer_parked") == 9 })
	fixed.Store(true)
	eventually(t, "all applied", func() bool { return effects(t, sink) == n })
	checkEffects(t, sink, n)
	if got := parked(); len(got) != 0 {
		t.Errorf("still parked: %v", got)
	}
	eventually(t, "the metric says so", func() bool { return gauge(t, registry, "kefu_event_consumer_parked") == 0 })
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// What another service cannot answer is no fault of the event: it is never parked.
func TestUnavailableIsNotPoison(t *testing.T) {
	source, sink := database(t), database(t)
	fill(t, source, 3, nil)
	conn := serve(t, event.NewServer(source.Pool, quiet()))
	var tries atomic.Int64
	start(t, consumer(sink, conn, func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
		if e.GetPosition() == 2 && tries.Add(1) <= 3 {
			return fmt.Errorf("ask the registry: %w", status.Error(codes.Unavailable, "no registry"))
		}
		return effect(ctx, tx, e)
	}).Run)
	eventually(t, "all applied", func() bool { return effects(t, sink) == 3 })
	checkEffects(t, sink, 3)
	if n := scalar[int](t, sink.Pool, `SELECT count(*) FROM event_parked`); n != 0 || tries.Load() != 4 {
		t.Errorf("%d parked after %d tries", n, tries.Load())
	}
}

// Two streams change the same rows in opposite orders, as projections of several services
// on one customer do. One event a transaction never blocks the other stream for good;
// chunks would, a second each time.
func TestConsumersOnTheSameRowsDoNotWaitForEachOther(t *testing.T) {
	const subjects, n = 20, 600
	sink := database(t)
	for i := range subjects {
		_, err := sink.Pool.Exec(t.Context(), `INSERT INTO things VALUES ($1, 0)`, uuid.UUID{15: byte(i)})
		must(t, err)
	}
	var deadlocks atomic.Int64
	handle := func(step int) func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
		return func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
			row := (int(e.GetPosition())*step%subjects + subjects) % subjects
			_, err := tx.Exec(ctx, `UPDATE things SET version = version + 1 WHERE id = $1`, uuid.UUID{15: byte(row)})
			if pg.Code(err) == "40P01" {
				deadlocks.Add(1)
			}
			return err
		}
	}
	var streams []*event.Consumer
	for name, step := range map[string]int{"up": 1, "down": -1} {
		source := database(t)
		fill(t, source, n, nil)
		c := consumer(sink, serve(t, event.NewServer(source.Pool, quiet())), handle(step))
		c.Name = name
		streams = append(streams, c)
	}
	for _, c := range streams {
		start(t, c.Run)
	}
	eventually(t, "all applied", func() bool {
		return scalar[int](t, sink.Pool, `SELECT coalesce(sum(position), 0) FROM event_cursors`) == 2*n
	})
	if got := deadlocks.Load(); got != 0 {
		t.Errorf("%d deadlocks", got)
	}
	if got := scalar[int](t, sink.Pool, `SELECT sum(version) FROM things`); got != 2*n {
		t.Errorf("%d changes by %d events", got, 2*n)
	}
}

func TestConsumerNeedsItsFields(t *testing.T) {
	if err := (&event.Consumer{Name: "x"}).Run(t.Context()); err == nil {
		t.Error("a consumer without a source ran")
	}
}

func TestConsumerNameReachesHandle(t *testing.T) {
	source, sink := database(t), database(t)
	fill(t, source, 1, nil)
	name := make(chan string, 1)
	start(t, consumer(sink, serve(t, event.NewServer(source.Pool, quiet())), func(ctx context.Context, _ pgx.Tx, _ *eventv1.Envelope) error {
		name <- event.ConsumerName(ctx)
		return nil
	}).Run)
	if got := <-name; got != "effects" {
		t.Errorf("ConsumerName = %q", got)
	}
}
