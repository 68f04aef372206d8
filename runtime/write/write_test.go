package write_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
)

func TestRaceOfOneRequestID(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			p := newPath(t, db.Pool, func() {})
			req := newRequest(t, "one", "a")
			answers := make([]string, 50)
			var group sync.WaitGroup
			for i := range answers {
				group.Go(func() {
					answer, err := door(by("someone", create), p, req)
					if err != nil {
						t.Error(err)
					}
					answers[i] = answer.GetValue()
				})
			}
			group.Wait()
			for _, a := range answers {
				if a != answers[0] || a == "" {
					t.Fatalf("answers %q and %q", a, answers[0])
				}
			}
			checkEffects(t, db, 1)
		})
	}
}

func TestReplay(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			p := newPath(t, db.Pool, func() {})
			first, err := door(by("someone", create), p, newRequest(t, "one", "a"))
			if err != nil {
				t.Fatal(err)
			}
			// After a restart, that is with another Path over the same data.
			again, err := door(by("someone", create), newPath(t, db.Pool, func() {}), newRequest(t, "one", "a"))
			if err != nil || again.GetValue() != first.GetValue() {
				t.Errorf("repeated: %v, %v; want %v", again, err, first)
			}
			_, err = door(by("someone", create), p, newRequest(t, "one", "b"))
			if status.Code(err) != codes.AlreadyExists || reason(err) != write.ReasonReused {
				t.Errorf("other body: %v", err)
			}
			checkEffects(t, db, 1)
			for _, ctx := range []context.Context{by("another", create), by("someone", create+"Too")} {
				other, err := door(ctx, p, newRequest(t, "one", "a"))
				if err != nil || other.GetValue() == first.GetValue() {
					t.Errorf("other caller or method: %v, %v", other, err)
				}
			}
			checkEffects(t, db, 3)
		})
	}
}

func reason(err error) string {
	if public := new(rpcerr.Error); errors.As(err, &public) {
		return public.Reason()
	}
	return ""
}

func TestEverythingIsRecorded(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			var wakes counter
			p := newPath(t, db.Pool, wakes.wake)
			answer, err := door(by("someone", create), p, newRequest(t, "one", "a"))
			if err != nil {
				t.Fatal(err)
			}
			ok := false
			err = db.Pool.QueryRow(t.Context(), `
SELECT e.subject_id = t.id AND e.actor_kind = 1 AND e.actor_id = 'issuer|someone' AND e.request_id = 'one' AND e.position IS NULL
  AND e.occur_time = e.record_time
  AND a.object_id = t.id AND a.object_type = 'thing' AND a.actor = 'issuer|someone' AND a.action = '`+create+`' AND a.request_id = 'one'
  AND a.cause_event_id IS NULL AND a.access_right = 'role:clerk/things.write'
  AND o.caller = 'issuer|someone' AND o.method = a.action AND o.resource_id = t.id AND o.resource_version = 1
  AND position(convert_to($1, 'UTF8') IN o.response) = 0
FROM things AS t, event_outbox AS e, audit_records AS a, idempotency_outcomes AS o WHERE t.id = $1::uuid`, answer.GetValue()).Scan(&ok)
			if err != nil || !ok {
				t.Errorf("rows as recorded: %v, %v", ok, err)
			}
			linkAndVerify(t, db, 1)
			if wakes.Load() != 1 {
				t.Errorf("%d wake-ups, want 1", wakes.Load())
			}
		})
	}
}

func linkAndVerify(t *testing.T, db *testkit.DB, n int64) {
	t.Helper()
	key := keyring{}.Derive(audit.KeyLabel)
	sequencer := event.NewSequencer(db.Pool, discard(), key, func() {})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sequencer.Run(ctx) }()
	eventually(t, "linked", func() bool { return count(t, db.Pool, "audit_pending") == 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got, err := audit.Verify(t.Context(), db.Pool, key); got != n || err != nil {
		t.Errorf("Verify = %d, %v; want %d", got, err, n)
	}
}

func TestFailedCallsAreNotKept(t *testing.T) {
	db := testkit.Database(t, sets()...)
	var wakes counter
	p := newPath(t, db.Pool, wakes.wake)
	refused := rpcerr.WrongState("THING_CLOSED", rpcerr.T("closed", "已关闭"))
	_, err := write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		if _, err := tx.Exec(ctx, insertThing, uuid.New(), "a"); err != nil {
			return nil, err
		}
		return nil, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("Do: %v, want the error of its function", err)
	}
	_, err = write.DoBatch(by("someone", create), p, newRequest(t, "one", "a"), func(ctx context.Context, tx *write.BatchTx) (*wrapperspb.StringValue, error) {
		id := uuid.New()
		for range 2 {
			if _, err := tx.Exec(ctx, insertThing, id, "a"); err != nil {
				return nil, err
			}
		}
		tx.Audit("thing", id, nil)
		return wrapperspb.String(""), nil
	})
	if !pg.Violates(err, "things_pkey") {
		t.Errorf("DoBatch: %v, want the violation of things_pkey", err)
	}
	checkEffects(t, db, 0)
	if wakes.Load() != 0 {
		t.Errorf("%d wake-ups for nothing", wakes.Load())
	}
	if _, err := do(by("someone", create), p, newRequest(t, "one", "other body")); err != nil {
		t.Errorf("tried again: %v", err)
	}
	checkEffects(t, db, 1)
}

func TestWhatARecordIsToldGoesBeforeWhatTheCallTells(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	one, two := uuid.New(), uuid.New()
	_, err := write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(_ context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		tx.Emit(event.Event{Type: "thing.changed.v1", SubjectID: uuid.New(), SubjectVersion: 1, CustomerID: one})
		tx.Audit("by-event", uuid.New(), nil)
		tx.AuditOf(two, "told", uuid.New(), nil)
		tx.AuditOf(uuid.Nil, "told-nobody", uuid.New(), nil)
		tx.AuditRight("grant:7", two, "by-grant", uuid.New(), nil)
		return wrapperspb.String(""), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Pool.Query(t.Context(), `SELECT concat_ws(' ', object_type, customer_id, access_right) FROM audit_records ORDER BY object_type`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	const role = " role:clerk/things.write"
	if want := []string{
		"by-event " + one.String() + role, "by-grant " + two.String() + " grant:7", "told " + two.String() + role, "told-nobody " + one.String() + role,
	}; !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
}

func TestRecordIsRequired(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	for name, say := range map[string]func(r *write.Record){
		"nothing":             func(*write.Record) {},
		"event without audit": func(r *write.Record) { r.Emit(event.Event{Type: "x.v1", SubjectID: uuid.New()}) },
		"unchanged and audit": func(r *write.Record) { r.Unchanged(); r.Audit("thing", uuid.New(), nil) },
		"unchanged and event": func(r *write.Record) { r.Unchanged(); r.Emit(event.Event{Type: "x.v1", SubjectID: uuid.New()}) },
	} {
		_, err := write.Do(by("someone", create), p, newRequest(t, name, ""), func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
			_, err := tx.Exec(ctx, insertThing, uuid.New(), "a")
			say(&tx.Record)
			return wrapperspb.String(""), err
		})
		_, batchErr := write.DoBatch(by("someone", create), p, newRequest(t, name, ""), func(ctx context.Context, tx *write.BatchTx) (*wrapperspb.StringValue, error) {
			_, err := tx.Exec(ctx, insertThing, uuid.New(), "a")
			say(&tx.Record)
			return wrapperspb.String(""), err
		})
		if err == nil || batchErr == nil || reason(err)+reason(batchErr) != "" {
			t.Errorf("%s: %v and %v, want private errors", name, err, batchErr)
		}
	}
	_, err := write.Do(by("someone", create), p, newRequest(t, "no answer", ""), func(_ context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		tx.Unchanged()
		return nil, nil
	})
	if err == nil {
		t.Error("a write without an answer was kept")
	}
	checkEffects(t, db, 0)
	if _, err := do(context.Background(), p, newRequest(t, "one", "a")); err == nil {
		t.Error("a write outside an RPC has no method to be recorded")
	}
}

func TestUnchangedIsAnOutcome(t *testing.T) {
	db := testkit.Database(t, sets()...)
	var wakes counter
	p := newPath(t, db.Pool, wakes.wake)
	runs := 0
	for range 2 {
		answer, err := write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(_ context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
			runs++
			tx.Unchanged()
			return wrapperspb.String("same"), nil
		})
		if err != nil || answer.GetValue() != "same" {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	if runs != 1 || count(t, db.Pool, "idempotency_outcomes") != 1 || count(t, db.Pool, "audit_records") != 0 || wakes.Load() != 0 {
		t.Errorf("the function ran %d times, %d wake-ups", runs, wakes.Load())
	}
}

func TestWithoutRequestID(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			p := newPath(t, db.Pool, func() {})
			for range 2 {
				if _, err := door(by("someone", create), p, newRequest(t, "", "a")); err != nil {
					t.Fatal(err)
				}
			}
			if things, kept := count(t, db.Pool, "things"), count(t, db.Pool, "idempotency_outcomes"); things != 2 || kept != 0 {
				t.Errorf("%d things and %d outcomes, want 2 and 0", things, kept)
			}
			for _, id := range []string{strings.Repeat("x", 129), "a\x00b"} {
				if _, err := door(by("someone", create), p, newRequest(t, id, "a")); status.Code(err) != codes.InvalidArgument {
					t.Errorf("request id %q: %v", id, err)
				}
			}
		})
	}
}

func TestSerializationFailureStartsOver(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	runs := 0
	_, err := write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		runs++
		id := uuid.New()
		recordCreated(&tx.Record, id, "a")
		if runs == 1 {
			_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`)
			return nil, err
		}
		_, err := tx.Exec(ctx, insertThing, id, "a")
		return wrapperspb.String(id.String()), err
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
	checkEffects(t, db, 1)
}

func TestFunctionCannotEndTheTransaction(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	_, err := write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		if tx.Commit(ctx) == nil || tx.Rollback(ctx) == nil {
			t.Error("the function ended the transaction")
		}
		id := uuid.New()
		recordCreated(&tx.Record, id, "a")
		_, err := tx.Exec(ctx, insertThing, id, "a")
		return wrapperspb.String(""), err
	})
	if err != nil {
		t.Error(err)
	}
	checkEffects(t, db, 1)
}

// The connection is lost after the commit and before its answer: the caller hears
// UNAVAILABLE, and its next try finds the outcome.
func TestLostAnswerOfTheCommit(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			c := &cutter{mark: map[string][]byte{"Do": []byte("commit\x00"), "Together": []byte("commit\x00"), "DoBatch": []byte("the name in the batch")}[name]}
			p := newPath(t, c.pool(t, db), func() {})
			req := newRequest(t, "one", "the name in the batch")
			if _, err := door(by("someone", create), p, newRequest(t, "warm", "prepares the statements")); err != nil {
				t.Fatal(err)
			}
			c.armed.Store(true)
			_, err := door(by("someone", create), p, req)
			if status.Code(err) != codes.Unavailable || reason(err) != rpcerr.ReasonDependency {
				t.Fatalf("with a lost answer: %v", err)
			}
			checkEffects(t, db, 2)
			again, err := door(by("someone", create), p, req)
			if err != nil || again.GetValue() == "" {
				t.Fatalf("tried again: %v, %v", again, err)
			}
			checkEffects(t, db, 2)
		})
	}
}

// The backend is killed in the commit: nothing took effect, the caller hears UNAVAILABLE
// and its next try does it.
func TestBackendKilledInTheCommit(t *testing.T) {
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			db := testkit.Database(t, sets()...)
			if _, err := db.Owner(t).Exec(t.Context(), `
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END $$;
`); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Owner(t).Exec(t.Context(), `
CREATE CONSTRAINT TRIGGER die AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`); err != nil {
				t.Fatal(err)
			}
			p := newPath(t, db.Pool, func() {})
			req := newRequest(t, "one", "a")
			if _, err := door(by("someone", create), p, req); status.Code(err) != codes.Unavailable {
				t.Fatalf("killed in the commit: %v", err)
			}
			checkEffects(t, db, 0)
			if _, err := db.Owner(t).Exec(t.Context(), `DROP TRIGGER die ON things`); err != nil {
				t.Fatal(err)
			}
			if _, err := door(by("someone", create), p, req); err != nil {
				t.Fatalf("tried again: %v", err)
			}
			checkEffects(t, db, 1)
		})
	}
}

// A call that meets one still at work under its request id is told to come back.
func TestRequestInProgress(t *testing.T) {
	db := testkit.Database(t, sets()...)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.DSN, LockTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	p := newPath(t, pool, func() {})
	_, err = write.Do(by("someone", create), p, newRequest(t, "one", "a"), func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		_, err := do(by("someone", create), p, newRequest(t, "one", "a"))
		if status.Code(err) != codes.Unavailable || reason(err) != write.ReasonInProgress {
			t.Errorf("the second call: %v", err)
		}
		id := uuid.New()
		recordCreated(&tx.Record, id, "a")
		_, err = tx.Exec(ctx, insertThing, id, "a")
		return wrapperspb.String(""), err
	})
	if err != nil {
		t.Error(err)
	}
	checkEffects(t, db, 1)
}

func TestNewNeedsItsFields(t *testing.T) {
	if _, err := write.New(write.Config{}); err == nil {
		t.Error("a path without anything was made")
	}
	if _, err := idempotency.NewVault(make([]byte, 16)); err == nil {
		t.Error("a vault with a short key was made")
	}
}
