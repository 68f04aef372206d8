package write

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
)

// Effect runs fn as this service, in a consumer's transaction, and records there what fn
// says as Do does: the actor is the service, the request id that of the event, and the
// audit record names the event as its cause. It keeps no outcome, because the consumer's
// cursor already makes the effect happen once. An error must be returned to the consumer,
// which rolls back.
func Effect(ctx context.Context, p *Path, tx pgx.Tx, e *eventv1.Envelope, fn func(ctx context.Context, tx *Tx) error) error {
	cause, err := uuid.Parse(e.GetId())
	if err != nil {
		return fmt.Errorf("id of the causing event: %w", err)
	}
	o := p.own(e.GetRequestId())
	o.CauseEventID = cause
	return p.act(ctx, tx, newCall(o, "consumer/"+event.ConsumerName(ctx), "event/"+e.GetType()), fn)
}

// Job runs fn as this service in a transaction of its own and records what fn says. name
// is that of the job or sweep; fn may run again as in Do and must by itself be repeatable,
// because nothing is kept of an outcome.
func Job(ctx context.Context, p *Path, name string, fn func(ctx context.Context, tx *Tx) error) error {
	c := newCall(p.own(""), "job/"+name, "job/"+name)
	err := pg.InTx(ctx, p.pool, func(tx pgx.Tx) error { return p.act(ctx, tx, c, fn) })
	if err != nil {
		return p.translate(ctx, c, err)
	}
	p.wake()
	return nil
}

func (p *Path) self() authn.Identity {
	return authn.Identity{Kind: authn.Service, Service: p.service}
}

// own is the origin of what the service does by itself, now.
func (p *Path) own(requestID string) audit.Origin {
	self := p.self()
	return audit.Origin{Time: p.now(), Actor: self.Actor(), ActorKind: self.ActorKind(), RequestID: requestID}
}

func (p *Path) act(ctx context.Context, pgTx pgx.Tx, c *call, fn func(ctx context.Context, tx *Tx) error) error {
	tx := &Tx{Tx: pgTx}
	if err := fn(authn.NewContext(ctx, p.self()), tx); err != nil {
		return err
	}
	if err := tx.check(ctx); err != nil {
		return fmt.Errorf("%s: %w", c.action, err)
	}
	q := tx.Soon()
	if err := p.recordIn(ctx, pgTx, q, c, &tx.Record); err != nil {
		return err
	}
	if err := pg.Flush(ctx, pgTx, q); err != nil {
		return fmt.Errorf("record the effect: %w", err)
	}
	return nil
}
