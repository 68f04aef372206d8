package event_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// unruly is a connection whose streams begin earlier than asked, say things twice and
// break off, each now and then.
type unruly struct {
	grpc.ClientConnInterface
	earlier, twice, cut atomic.Int64
}

func (u *unruly) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := u.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	return &unrulyStream{ClientStream: s, u: u}, err
}

type unrulyStream struct {
	grpc.ClientStream
	u    *unruly
	last []*eventv1.Envelope
}

func (s *unrulyStream) SendMsg(m any) error {
	if req, ok := m.(*eventv1.StreamEventsRequest); ok && req.GetAfterPosition() > 0 && rand.IntN(2) == 0 {
		s.u.earlier.Add(1)
		m = &eventv1.StreamEventsRequest{AfterPosition: max(0, req.GetAfterPosition()-rand.Int64N(700))}
	}
	return s.ClientStream.SendMsg(m)
}

func (s *unrulyStream) RecvMsg(m any) error {
	if rand.IntN(20) == 0 {
		s.u.cut.Add(1)
		return status.Error(codes.Unavailable, "cut")
	}
	err := s.ClientStream.RecvMsg(m)
	answer, ok := m.(*eventv1.StreamEventsResponse)
	if err != nil || !ok {
		return err
	}
	now := answer.GetEvents()
	if len(s.last) > 0 && rand.IntN(10) == 0 {
		s.u.twice.Add(1)
		answer.Events = append(slices.Clone(s.last), now...)
	}
	s.last = now
	return nil
}

// changeMany changes many things in one statement, in the order of their ids; the event's
// id is drawn when the row is locked and changed.
const changeMany = `
WITH changed AS (
  INSERT INTO things SELECT id, 1 FROM unnest($1::uuid[]) AS id ON CONFLICT (id) DO UPDATE SET version = things.version + 1
  RETURNING id, version
)
INSERT INTO event_outbox (event_id, type, subject_id, subject_version, occur_time, record_time, actor_kind, actor_id, request_id, historic)
SELECT gen_random_uuid(), 'thing.changed.v1', id, version, now(), now(), 1, 'issuer|someone', 'r', false FROM changed`

var errGivenUp = errors.New("given up")

// makeEvents commits n events of the subjects: most transactions change many things, some
// one as the write path does, and some are given up when they have drawn their ids.
func makeEvents(db *testkit.DB, subjects []uuid.UUID, n int) error {
	const many = 25
	ctx := context.Background()
	for n > 0 {
		some := make([]uuid.UUID, min(many, n))
		for i, at := range rand.Perm(len(subjects))[:len(some)] {
			some[i] = subjects[at]
		}
		slices.SortFunc(some, func(a, b uuid.UUID) int { return cmp.Compare(a.String(), b.String()) })
		fate := rand.IntN(20)
		if fate == 0 {
			some = some[:1]
		}
		err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
			if fate == 0 {
				return change(ctx, tx, some[0])
			}
			if _, err := tx.Exec(ctx, changeMany, some); err != nil {
				return err
			}
			if fate == 1 {
				return errGivenUp
			}
			return nil
		})
		switch {
		case errors.Is(err, errGivenUp):
		case err != nil:
			return err
		default:
			n -= len(some)
		}
	}
	return nil
}

// Several writers change few things while two replicas of the sequencer and two of the
// consumer work: leaders and sessions are killed, consumers are replaced, streams break
// off, begin too early and repeat themselves. No event is lost or has its effect twice,
// and those of one thing keep their order.
func TestExactlyOnceInACrowd(t *testing.T) {
	const writers = 4
	source, sink := database(t), database(t)
	var sequencers []*event.Sequencer
	var conns []*unruly
	for range 2 {
		s, server, _ := sequence(t, source)
		sequencers = append(sequencers, s)
		conns = append(conns, &unruly{ClientConnInterface: serve(t, server)})
	}
	var lives atomic.Int64
	for _, conn := range conns {
		start(t, func(ctx context.Context) error {
			for ctx.Err() == nil {
				lives.Add(1)
				if err := consumeForAWhile(ctx, sink, conn); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var kills atomic.Int64
	calm := start(t, func(ctx context.Context) error { return killNowAndThen(ctx, source, sink, &kills) })

	subjects := make([]uuid.UUID, 200)
	for i := range subjects {
		subjects[i] = uuid.New()
	}
	began := time.Now()
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			if err := makeEvents(source, subjects, crowd/writers); err != nil {
				t.Errorf("writer: %v", err)
			}
			sequencers[w%2].Wake()
		})
	}
	group.Wait()
	made := time.Since(began)
	progress(t, func() int64 {
		return scalar[int64](t, sink.Pool, `SELECT coalesce(max(position), 0) FROM event_cursors`)
	}, crowd)
	calm()
	t.Logf("%d events made in %v and applied in %v by %d consumers; %d sessions killed; streams: %d began earlier, %d answers twice, %d cut",
		crowd, made.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), lives.Load(), kills.Load(),
		conns[0].earlier.Load()+conns[1].earlier.Load(), conns[0].twice.Load()+conns[1].twice.Load(), conns[0].cut.Load()+conns[1].cut.Load())
	checkOrder(t, source, crowd)
	checkEffects(t, sink, crowd)
	if n := scalar[int](t, sink.Pool, `SELECT count(*) FROM event_parked`); n != 0 {
		t.Errorf("%d events were parked, and none is at fault", n)
	}
	checkLinked(t, source)
	if kills.Load() == 0 || conns[0].twice.Load()+conns[1].twice.Load() == 0 {
		t.Error("nothing was disturbed, so this test shows nothing")
	}
}

// consumeForAWhile is one life of a consumer; it ends in the middle of its work.
func consumeForAWhile(ctx context.Context, sink *testkit.DB, conn grpc.ClientConnInterface) error {
	life, end := context.WithCancel(ctx)
	defer end()
	left := 500 + rand.IntN(crowd/10)
	return consumer(sink, conn, func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
		if left--; left == 0 {
			end()
		}
		return effect(ctx, tx, e)
	}).Run(life)
}

// killNowAndThen ends whoever leads the sequencers, and what writes effects.
func killNowAndThen(ctx context.Context, source, sink *testkit.DB, kills *atomic.Int64) error {
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, kill := range []struct {
			db  *testkit.DB
			sql string
		}{
			{source, `SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted`},
			{sink, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()`},
		} {
			var n int64
			err := kill.db.Pool.QueryRow(context.Background(), kill.sql).Scan(&n)
			if err != nil && !pg.Unavailable(err) {
				return err
			}
			kills.Add(n)
		}
	}
}

// progress waits until value reaches the goal and fails when it stands still.
func progress(t *testing.T, value func() int64, goal int64) {
	t.Helper()
	for last, moved := int64(-1), time.Now(); last < goal; {
		v := value()
		if v != last {
			last, moved = v, time.Now()
		}
		if time.Since(moved) > 30*time.Second {
			t.Fatalf("stands at %d of %d", last, goal)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// checkLinked checks that the audit chain holds every record.
func checkLinked(t *testing.T, db *testkit.DB) {
	t.Helper()
	eventually(t, "all linked", func() bool { return scalar[int](t, db.Pool, `SELECT count(*) FROM audit_pending`) == 0 })
	records := scalar[int64](t, db.Pool, `SELECT count(*) FROM audit_records`)
	if n, err := audit.Verify(context.Background(), db.Pool, key); int64(n) != records || err != nil {
		t.Errorf("Verify = %d, %v; want %d", n, err, records)
	}
}

// At a rate that can be kept, an effect is committed within a second of its cause: with
// two replicas of everything, where the one that writes does not lead.
func TestDelay(t *testing.T) {
	source, sink := database(t), database(t)
	var conns []grpc.ClientConnInterface
	var writer *event.Sequencer
	for range 2 {
		s, server, _ := sequence(t, source)
		writer, conns = s, append(conns, serve(t, server))
	}
	var mu sync.Mutex
	applied := map[string]time.Time{} // by subject
	for _, conn := range conns {
		var pending []string // subjects of the transaction under way; a consumer has one
		c := consumer(sink, conn, func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
			pending = append(pending, e.GetSubjectId())
			return effect(ctx, tx, e)
		})
		c.Wake = func() {
			mu.Lock()
			defer mu.Unlock()
			for _, subject := range pending {
				applied[subject] = time.Now()
			}
			pending = pending[:0]
		}
		start(t, c.Run)
	}
	n := int(delayTime.Seconds() * delayRate)
	subjects, committed := make([]uuid.UUID, n), make([]time.Time, n)
	var group sync.WaitGroup
	tick := time.NewTicker(time.Second / delayRate)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		group.Go(func() {
			subjects[i] = uuid.New()
			commitChange(t, source, subjects[i])
			committed[i] = time.Now()
			writer.Wake()
		})
	}
	group.Wait()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(applied)
	}
	eventually(t, "all applied", func() bool { return count() == n })
	checkEffects(t, sink, n)
	delays := make([]time.Duration, n)
	for i, subject := range subjects {
		delays[i] = applied[subject.String()].Sub(committed[i])
	}
	slices.Sort(delays)
	at := func(q float64) time.Duration { return delays[int(q*float64(n-1))].Round(time.Millisecond) }
	t.Logf("%d events a second: p50 %v, p99 %v, at most %v", delayRate, at(.5), at(.99), at(1))
	if at(.99) > delayLimit {
		t.Errorf("the delay's p99 is %v, more than %v", at(.99), delayLimit)
	}
}
