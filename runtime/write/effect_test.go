package write_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestEffect(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	cause := &eventv1.Envelope{Id: uuid.NewString(), Type: "ticket.resolved.v1", RequestId: "of the call", ActorId: "issuer|someone"}
	id := uuid.New()
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return write.Effect(t.Context(), p, tx, cause, func(ctx context.Context, tx *write.Tx) error {
			if got := authn.FromContext(ctx); got.Kind != authn.Service || got.Actor() != "thing-service" {
				t.Errorf("the effect acts as %+v", got)
			}
			recordCreated(&tx.Record, id, "a")
			_, err := tx.Exec(ctx, insertThing, id, "a")
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	var ok bool
	err = db.Pool.QueryRow(t.Context(), `
SELECT e.actor_kind = 4 AND e.actor_id = 'thing-service' AND e.request_id = 'of the call'
  AND a.actor = 'thing-service' AND a.actor_kind = 4 AND a.action = 'consumer/' AND a.access_right = 'event/ticket.resolved.v1'
  AND a.request_id = 'of the call' AND a.cause_event_id = $1 AND a.object_id = $2
FROM event_outbox AS e, audit_records AS a`, cause.GetId(), id).Scan(&ok)
	if err != nil || !ok {
		t.Errorf("rows as recorded: %v, %v", ok, err)
	}
	if n := count(t, db.Pool, "idempotency_outcomes"); n != 0 {
		t.Errorf("%d outcomes of an effect", n)
	}
	linkAndVerify(t, db, 1)
}

func TestEffectNeedsItsRecord(t *testing.T) {
	db := testkit.Database(t, sets()...)
	p := newPath(t, db.Pool, func() {})
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return write.Effect(t.Context(), p, tx, &eventv1.Envelope{Id: uuid.NewString()}, func(ctx context.Context, tx *write.Tx) error {
			_, err := tx.Exec(ctx, insertThing, uuid.New(), "a")
			return err
		})
	})
	if err == nil || count(t, db.Pool, "things") != 0 {
		t.Errorf("an effect without audit: %v", err)
	}
	err = pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return write.Effect(t.Context(), p, tx, &eventv1.Envelope{Id: uuid.NewString()}, func(_ context.Context, tx *write.Tx) error {
			tx.Unchanged()
			return nil
		})
	})
	if err != nil {
		t.Errorf("an effect that changes nothing: %v", err)
	}
}

func TestJob(t *testing.T) {
	db := testkit.Database(t, sets()...)
	var wakes counter
	p := newPath(t, db.Pool, wakes.wake)
	id := uuid.New()
	err := write.Job(t.Context(), p, "sweep", func(ctx context.Context, tx *write.Tx) error {
		recordCreated(&tx.Record, id, "a")
		_, err := tx.Exec(ctx, insertThing, id, "a")
		return err
	})
	if err != nil || wakes.Load() != 1 {
		t.Fatalf("%v, %d wake-ups", err, wakes.Load())
	}
	var actor, action string
	err = db.Pool.QueryRow(t.Context(), `SELECT actor, action FROM audit_records WHERE object_id = $1`, id).Scan(&actor, &action)
	if err != nil || actor != "thing-service" || action != "job/sweep" {
		t.Errorf("recorded %q by %q, %v", action, actor, err)
	}
}
