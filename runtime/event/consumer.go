package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sethvargo/go-retry"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/crash"
	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	// silenceLimit is how long a stream without even a heartbeat is believed.
	silenceLimit = 3 * beatEvery
	// chunkSize is the number of events applied in one transaction, at most: enough to
	// share its flush, few enough not to hold row locks for long.
	chunkSize = 100
	// chunkTime is after how long no further event is taken into a transaction.
	chunkTime = 100 * time.Millisecond
	// chunkWait is how long a transaction of several events waits for a lock. It takes the
	// locks of its events in the order of the stream, which is not that of another
	// consumer; giving way early costs less than the second that Postgres takes to see a
	// deadlock.
	chunkWait = 50 * time.Millisecond
	// singles is how many transactions after that take one event.
	singles = 50
)

// Consumer applies the events of one source, each exactly once and those of one subject
// in order. It may run in every replica: the cursor's row lock lets one apply at a time,
// and the others find the work done.
//
// An event whose Handle fails is tried ten times with a growing pause and then parked in
// event_parked, where later events of its subject queue behind it and from where they are
// tried again, ever more rarely, until they succeed. Other subjects go on. What fails for
// want of the database or of another service is not counted and never parked.
type Consumer struct {
	// Name of this consumer, unique in its database.
	Name string
	// Source is the name of the service whose events it applies.
	Source string
	// Conn reaches the source.
	Conn grpc.ClientConnInterface
	// Pool is the database of the cursor and of the effects.
	Pool *pgxpool.Pool
	Log  *slog.Logger
	// Handle applies one event in tx and returns nil for types it does not know. It may
	// run more than once for an event, but only one run commits. It must do nothing
	// outside tx that cannot be repeated.
	Handle func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error
	// HandleAll takes Handle's place where many events are applied at less cost than each by
	// itself: it applies a run of events, in the order of the stream, with the effect of one
	// after the other. When it fails, the events of the run are tried one by one, each
	// as a run of its own, to find out whose failure it is. One of the two is given.
	HandleAll func(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope) error
	// Wake is called after each commit of effects: Sequencer.Wake of the pool's database.
	// Nil means that what the effects emit waits for the sequencer's next look.
	Wake func()
	// Registerer takes the metrics while Run runs; nil means none.
	Registerer prometheus.Registerer

	lag    atomic.Int64 // nanoseconds
	parked atomic.Int64

	pace    pace
	chunk   int      // how many events the next transaction may take
	single  int      // how many more take one, because others work on the same rows
	failing struct { // the event that holds the stream up
		position int64
		tries    int
	}
}

// pace is how quickly failures are tried again.
type pace struct {
	backoff                  func() retry.Backoff
	parkedEvery, parkedFirst time.Duration
}

// Run consumes until ctx ends and then returns nil; it reconnects for ever. It fails only
// when a field is missing or its metrics cannot be registered.
func (c *Consumer) Run(ctx context.Context) error {
	if c.Name == "" || c.Source == "" || c.Conn == nil || c.Pool == nil || c.Log == nil {
		return fmt.Errorf("consumer %q of %q: a required field is missing", c.Name, c.Source)
	}
	if (c.Handle == nil) == (c.HandleAll == nil) {
		return fmt.Errorf("consumer %q of %q: give one of Handle and HandleAll", c.Name, c.Source)
	}
	c.chunk = chunkSize
	if c.pace.backoff == nil {
		c.pace = pace{backoff: newBackoff, parkedEvery: parkedEvery, parkedFirst: parkedFirst}
	}
	unregister, err := c.register()
	if err != nil {
		return err
	}
	defer unregister()
	log := c.Log.With("consumer", c.Name, "source", c.Source)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return forever(ctx, log, "event consumer", c.consume) })
	g.Go(func() error { return forever(ctx, log, "parked events", c.retryParked) })
	return g.Wait()
}

// Lag is how long after its recording the last event was applied; 0 once the source had
// no more. It does not grow while the source is unreachable.
func (c *Consumer) Lag() time.Duration { return time.Duration(c.lag.Load()) }

func (c *Consumer) register() (func(), error) {
	if c.Registerer == nil {
		return func() {}, nil
	}
	labels := prometheus.Labels{"consumer": c.Name, "source": c.Source}
	gauges := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kefu_event_consumer_lag_seconds", ConstLabels: labels,
			Help: "Time between the recording of the last applied event and its effect; 0 when nothing waits.",
		}, func() float64 { return c.Lag().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kefu_event_consumer_parked", ConstLabels: labels,
			Help: "Events that failed or queue behind one that failed.",
		}, func() float64 { return float64(c.parked.Load()) }),
	}
	for i, gauge := range gauges {
		if err := c.Registerer.Register(gauge); err != nil {
			for _, done := range gauges[:i] {
				c.Registerer.Unregister(done)
			}
			return nil, fmt.Errorf("register metrics of consumer %s: %w", c.Name, err)
		}
	}
	return func() {
		for _, gauge := range gauges {
			c.Registerer.Unregister(gauge)
		}
	}, nil
}

// consume follows one stream to its end.
func (c *Consumer) consume(ctx context.Context, healthy func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	after, err := c.cursor(ctx)
	if err != nil {
		return err
	}
	stream, err := eventv1.NewEventServiceClient(c.Conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{AfterPosition: after})
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	silence := time.AfterFunc(silenceLimit, func() { cancel(errSilent) })
	defer silence.Stop()
	for {
		answer, err := stream.Recv()
		if err != nil {
			if context.Cause(ctx) == errSilent {
				err = errSilent
			}
			return fmt.Errorf("receive events: %w", err)
		}
		silence.Stop()
		if err := c.apply(ctx, answer.GetEvents()); err != nil {
			return err
		}
		c.measure(answer.GetEvents())
		healthy()
		silence.Reset(silenceLimit)
	}
}

var errSilent = errors.New("the stream fell silent")

func (c *Consumer) measure(events []*eventv1.Envelope) {
	if len(events) == 0 {
		c.lag.Store(0)
		return
	}
	c.lag.Store(int64(time.Since(events[len(events)-1].GetRecordTime().AsTime())))
}

// cursor gives the position after which to stream and makes the row at the first start.
func (c *Consumer) cursor(ctx context.Context) (position int64, err error) {
	_, err = c.Pool.Exec(ctx, `INSERT INTO event_cursors (consumer, source) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.Name, c.Source)
	if err == nil {
		err = c.Pool.QueryRow(ctx, `SELECT position FROM event_cursors WHERE consumer = $1 AND source = $2`,
			c.Name, c.Source).Scan(&position)
	}
	if err != nil {
		return 0, fmt.Errorf("read cursor: %w", err)
	}
	return position, nil
}

// apply works through a run of events. When one of them fails, its chunk is taken again
// one event a transaction, so that what stands before it is kept. So it is when the chunk
// meets the locks of others, and the next chunks are small and grow again.
func (c *Consumer) apply(ctx context.Context, events []*eventv1.Envelope) error {
	for len(events) > 0 {
		chunk := events[:min(c.chunk, len(events))]
		done, err := c.applyOnce(ctx, chunk, "")
		failed, crossed := new(handleError), new(crossedError)
		switch {
		case errors.As(err, &crossed):
			c.chunk, c.single = 1, singles
			continue
		case errors.As(err, &failed):
			for _, e := range chunk {
				if err := c.applyStubborn(ctx, e); err != nil {
					return err
				}
			}
			done = len(chunk)
		case err != nil:
			return err
		case c.single > 0:
			c.single--
		default:
			c.chunk = min(c.chunk+1, chunkSize)
		}
		events = events[done:]
	}
	return nil
}

// crossedError is a chunk's encounter with the locks of others. It hides its cause from
// pg.InTx, which would take the whole chunk again.
type crossedError struct{ problem string }

func (e *crossedError) Error() string { return "crossed the locks of others: " + e.problem }

// maxTries is how often one event may hold up the others before it is parked.
const maxTries = 10

// applyStubborn applies one event or parks it.
func (c *Consumer) applyStubborn(ctx context.Context, e *eventv1.Envelope) error {
	if c.failing.position != e.GetPosition() {
		c.failing.position, c.failing.tries = e.GetPosition(), 0
	}
	for backoff := c.pace.backoff(); ; {
		_, err := c.applyOnce(ctx, []*eventv1.Envelope{e}, "")
		failed := new(handleError)
		if !errors.As(err, &failed) {
			return err
		}
		c.failing.tries++
		problem := describe(failed.err)
		c.Log.WarnContext(ctx, "event failed", "consumer", c.Name, "source", c.Source, "event", e.GetId(),
			"type", e.GetType(), "position", e.GetPosition(), "try", c.failing.tries, "error", problem)
		if c.failing.tries >= maxTries {
			_, err := c.applyOnce(ctx, []*eventv1.Envelope{e}, problem)
			return err
		}
		if !pause(ctx, backoff) {
			return ctx.Err()
		}
	}
}

// handleError is a failure of Handle that is the event's own.
type handleError struct{ err error }

func (e *handleError) Error() string { return e.err.Error() }
func (e *handleError) Unwrap() error { return e.err }

// applyOnce applies events and moves the cursor past them in one transaction, and says how
// many it took: fewer than all when time is up. With a problem it parks them instead.
func (c *Consumer) applyOnce(ctx context.Context, events []*eventv1.Envelope, problem string) (done int, err error) {
	err = pg.InTx(ctx, c.Pool, func(tx pgx.Tx) error {
		done = 0
		position, blocked, err := c.lockCursor(ctx, tx, len(events) > 1)
		if err != nil {
			return err
		}
		before := position
		if done, position, err = c.take(ctx, tx, events, position, blocked, problem); err != nil {
			if len(events) > 1 && crossed(err) {
				return &crossedError{pg.Code(err)}
			}
			return err
		}
		if position == before {
			return nil
		}
		err = c.moveCursor(ctx, tx, position)
		crash.At(crash.AfterEffect)
		return err
	})
	if err == nil {
		crash.At(crash.AfterEffectCommit)
		c.committed()
	}
	return done, err
}

// take applies or parks events that follow a position, until time is up. Those of one
// subject are all applied or all parked, so the run of HandleAll keeps their order.
func (c *Consumer) take(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope, after int64, blocked map[string]bool,
	problem string) (done int, position int64, err error) {
	position = after
	var run []*eventv1.Envelope
	for began := time.Now(); done < len(events) && (done == 0 || time.Since(began) <= chunkTime); done++ {
		e := events[done]
		if e.GetPosition() <= position {
			continue // another replica was first
		}
		if e.GetPosition() != position+1 {
			return 0, 0, fmt.Errorf("event at position %d follows %d: the stream has a gap", e.GetPosition(), position)
		}
		switch {
		case blocked[e.GetSubjectId()] || problem != "":
			err = c.park(ctx, tx, e, problem)
		case c.HandleAll != nil:
			run = append(run, e)
		default:
			err = c.handle(ctx, tx, e)
		}
		if err != nil {
			return 0, 0, err
		}
		position = e.GetPosition()
	}
	if len(run) > 0 {
		err = c.handle(ctx, tx, run...)
	}
	return done, position, err
}

func (c *Consumer) committed() {
	if c.Wake != nil {
		c.Wake()
	}
}

// lockCursor makes this replica the only one that applies, and reads which subjects wait
// behind a parked event. With brief set, later locks of tx are waited for no longer than
// chunkWait.
func (c *Consumer) lockCursor(ctx context.Context, tx pgx.Tx, brief bool) (position int64, blocked map[string]bool, err error) {
	batch := new(pgx.Batch)
	batch.Queue(`SELECT position FROM event_cursors WHERE consumer = $1 AND source = $2 FOR UPDATE`, c.Name, c.Source)
	batch.Queue(`SELECT subject_id FROM event_parked WHERE consumer = $1 AND source = $2`, c.Name, c.Source)
	if brief {
		batch.Queue(`SELECT set_config('lock_timeout', $1, true)`, strconv.FormatInt(chunkWait.Milliseconds(), 10))
	}
	results := tx.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	if err := results.QueryRow().Scan(&position); err != nil {
		return 0, nil, fmt.Errorf("lock cursor: %w", err)
	}
	rows, err := results.Query()
	if err != nil {
		return 0, nil, fmt.Errorf("read parked subjects: %w", err)
	}
	subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, nil, fmt.Errorf("read parked subjects: %w", err)
	}
	blocked = make(map[string]bool, len(subjects))
	for _, s := range subjects {
		blocked[s] = true
	}
	return position, blocked, nil
}

func (c *Consumer) moveCursor(ctx context.Context, tx pgx.Tx, position int64) error {
	_, err := tx.Exec(ctx, `UPDATE event_cursors SET position = $3, update_time = now() WHERE consumer = $1 AND source = $2`,
		c.Name, c.Source, position)
	if err != nil {
		return fmt.Errorf("move cursor: %w", err)
	}
	return nil
}

type consumerKey struct{}

// ConsumerName is the name of the consumer that runs Handle with this context, or "".
func ConsumerName(ctx context.Context) string {
	name, _ := ctx.Value(consumerKey{}).(string)
	return name
}

// handle applies events, one where there is no HandleAll, and says whether a failure is
// their own. A panic is one: it must not take the other consumers of the process with it.
func (c *Consumer) handle(ctx context.Context, tx pgx.Tx, events ...*eventv1.Envelope) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &handleError{fmt.Errorf("panic: %v", p)}
		}
	}()
	crash.At(crash.BeforeEffect)
	named := context.WithValue(ctx, consumerKey{}, c.Name)
	if c.HandleAll != nil {
		err = c.HandleAll(named, tx, events)
	} else {
		err = c.Handle(named, tx, events[0])
	}
	if err == nil || ctx.Err() != nil || passing(err) {
		return err
	}
	return &handleError{err}
}
