package clock_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// library gives calendars in versions that a test changes.
type library struct {
	mu       sync.Mutex
	versions map[string]int64
	cals     map[string]*worktime.Calendar
}

func (l *library) Load(_ context.Context, _ pg.DBTX, id string) (*worktime.Calendar, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cals[id], l.versions[id], nil
}

func (l *library) set(id string, cal *worktime.Calendar) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cals[id] = cal
	l.versions[id]++
}

type keyring struct{}

func (keyring) Derive(label string) []byte { return append([]byte(label), make([]byte, 32)...)[:32] }

// bench is a database with clocks on it and a time that the test moves.
type bench struct {
	t       testing.TB
	db      *testkit.DB
	path    *write.Path
	library *library
	clock   *testkit.Clock
	store   *clock.Store
	sweeper *clock.Sweeper
	subject clock.Subject
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{
		t: t, clock: testkit.NewClock(), subject: clock.Subject{Type: "ticket", ID: uuid.New()},
		library: &library{versions: map[string]int64{}, cals: map[string]*worktime.Calendar{}},
		db:      testkit.Database(t, event.Migrations(), audit.Migrations(), idempotency.Migrations(), clock.Migrations()),
	}
	for id, cal := range calendars(t) {
		b.library.set(id, cal)
	}
	var err error
	b.path, err = write.New(write.Config{
		Pool: b.db.Pool, Keyring: keyring{}, Service: "service-ticket", Log: slog.New(slog.DiscardHandler),
		Wake: func() {}, Now: b.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.store, b.sweeper = b.replica()
	return b
}

// replica is another process on the same database, which knows nothing of the first.
func (b *bench) replica() (*clock.Store, *clock.Sweeper) {
	s := clock.New(b.library, b.clock.Now)
	return s, clock.NewSweeper(s, b.db.Pool, b.path, slog.New(slog.DiscardHandler))
}

// do runs a change as the service's job.
func (b *bench) do(fn func(ctx context.Context, tx *write.Tx) error) {
	b.t.Helper()
	if err := b.try(fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) try(fn func(ctx context.Context, tx *write.Tx) error) error {
	return write.Job(b.t.Context(), b.path, "test", func(ctx context.Context, tx *write.Tx) error {
		tx.Audit("ticket", b.subject.ID, nil)
		return fn(ctx, tx)
	})
}

func (b *bench) at(value string) time.Time {
	b.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", value, b.library.cals["china-standard"].Location())
	if err != nil {
		b.t.Fatal(err)
	}
	b.clock.Set(at)
	return at
}

func (b *bench) all() clock.Select { return clock.Select{Subject: b.subject.ID} }

// act is something that happens now.
func (b *bench) act(reason string) clock.Act { return clock.Act{At: b.clock.Now(), Reason: reason} }

var holds = []string{clock.ReasonWaitingCustomer}

// start starts a resolution clock at a time of Shanghai's.
func (b *bench) start(at string, terms clock.Terms) clock.Clock {
	b.t.Helper()
	when := b.at(at)
	if terms.CalendarID == "" {
		terms.CalendarID = "china-standard"
	}
	var out []clock.Clock
	b.do(func(ctx context.Context, tx *write.Tx) error {
		var err error
		out, err = b.store.Start(ctx, tx, clock.Spec{
			Subject: b.subject, Kind: "resolution", Round: 1, At: when, Owner: clock.Owner{Role: "service-agent"}, Terms: terms,
		})
		return err
	})
	return out[0]
}

func (b *bench) pause(at string)  { b.change(at, b.store.Pause, clock.ReasonWaitingCustomer) }
func (b *bench) resume(at string) { b.change(at, b.store.Resume, clock.ReasonWaitingCustomer) }
func (b *bench) stop(at string)   { b.change(at, b.store.Stop, "") }

func (b *bench) change(at string, verb func(context.Context, *write.Tx, clock.Select, clock.Act) ([]clock.Clock, error), reason string) {
	b.t.Helper()
	b.at(at)
	b.do(func(ctx context.Context, tx *write.Tx) error {
		_, err := verb(ctx, tx, b.all(), b.act(reason))
		return err
	})
}

func (b *bench) retarget(at, reason string, terms clock.Terms) {
	b.t.Helper()
	b.at(at)
	if terms.CalendarID == "" {
		terms.CalendarID = "china-standard"
	}
	b.do(func(ctx context.Context, tx *write.Tx) error {
		_, err := b.store.Retarget(ctx, tx, b.all(), b.act(reason), func(*clock.Clock) (clock.Terms, bool, error) { return terms, true, nil })
		return err
	})
}

func (b *bench) sweep(at string) clock.Swept {
	b.t.Helper()
	if at != "" {
		b.at(at)
	}
	done, err := b.sweeper.Sweep(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return done
}

// get gives the only clock of the case and checks that its row is what its log comes to.
func (b *bench) get() clock.Clock {
	b.t.Helper()
	b.rebuild()
	list, err := b.store.List(b.t.Context(), b.db.Pool, b.subject.ID)
	if err != nil || len(list) != 1 {
		b.t.Fatalf("%d clocks, %v", len(list), err)
	}
	return list[0]
}

func (b *bench) wantDue(want string) {
	b.t.Helper()
	c := b.get()
	got := "none"
	if !c.Due.IsZero() {
		got = c.Due.In(b.library.cals["china-standard"].Location()).Format("2006-01-02 15:04:05")
	}
	if got != want {
		b.t.Errorf("due %s, want %s", got, want)
	}
	r, err := c.Receipt(b.clock.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	if !c.Due.IsZero() && r.Counted != c.Target {
		b.t.Errorf("the receipt counts %v of %v", r.Counted, c.Target)
	}
}

func (b *bench) wantPhase(want clock.Phase) {
	b.t.Helper()
	if c := b.get(); c.Phase != want {
		b.t.Errorf("%v, want %v", c.Phase, want)
	}
}

// rebuild folds every stored clock from its log, by a store that knows nothing yet, and
// compares what its row says.
func (b *bench) rebuild() int {
	b.t.Helper()
	fresh, _ := b.replica()
	rows, err := b.db.Pool.Query(b.t.Context(), `SELECT id, state, due_time, stop_time, next_step_time, target, version,
  clause_id, owner_role, calendar_id FROM clocks`)
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var id uuid.UUID
		var state int16
		var due, stop, next *time.Time
		var target, version int64
		var clause, owner, calendar string
		if err := rows.Scan(&id, &state, &due, &stop, &next, &target, &version, &clause, &owner, &calendar); err != nil {
			b.t.Fatal(err)
		}
		c, log, err := fresh.Get(b.t.Context(), b.db.Pool, id)
		if err != nil {
			b.t.Fatal(err)
		}
		if c.Phase != clock.Phase(state) || !same(c.Due, due) || !same(c.Stop, stop) || !same(c.Next(), next) ||
			int64(c.Target) != target || int64(len(log)) != version || c.Terms.ClauseID != clause ||
			c.Owner.Role != owner || c.Terms.CalendarID != calendar {
			b.t.Errorf("the log of %s comes to %+v; stored: %v due %v stop %v next %v target %v version %d", id, c.State,
				clock.Phase(state), due, stop, next, time.Duration(target), version)
		}
	}
	return n
}

func same(a time.Time, b *time.Time) bool {
	if b == nil {
		return a.IsZero()
	}
	return a.Equal(*b)
}

// types lists the log of the case's only clock.
func (b *bench) types() []string {
	b.t.Helper()
	_, log, err := b.store.Get(b.t.Context(), b.db.Pool, b.get().ID)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, e := range log {
		name := e.Type.String()[len("CLOCK_LOG_TYPE_"):]
		if e.Step != "" {
			name += " " + e.Step
		}
		out = append(out, name)
	}
	return out
}

// told gives the events of clocks, in order.
func (b *bench) told() (names []string, payloads []*clockv1.ClockChanged) {
	b.t.Helper()
	rows, err := b.db.Pool.Query(b.t.Context(), `SELECT type, payload FROM event_outbox ORDER BY id`)
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var payload []byte
		if err := rows.Scan(&name, &payload); err != nil {
			b.t.Fatal(err)
		}
		names, payloads = append(names, name), append(payloads, unpack(b.t, payload))
	}
	return names, payloads
}
