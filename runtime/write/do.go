package write

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/crash"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Do runs fn in one transaction and commits with it what fn recorded. fn reads its rows
// FOR UPDATE, decides and writes; it may run again after a serialization failure, each
// time with an empty record, and must have no effect outside tx.
//
// A call whose request id (of this caller, for this method) has a committed outcome does
// not run fn: it gets that outcome again, or ALREADY_EXISTS (REQUEST_ID_REUSED) if its
// body differs. Concurrent calls with one request id follow each other. Errors of fn roll
// everything back and come out unchanged; nothing is kept of them. UNAVAILABLE leaves
// open whether the call took effect: repeat it with the same request id.
func Do[T proto.Message](ctx context.Context, p *Path, req Request, fn func(ctx context.Context, tx *Tx) (T, error)) (T, error) {
	return DoReading(ctx, p, req, nil, fn)
}

// DoReading is Do for a call that reads the same whatever comes: what read queues goes along
// with the claim of the request id, in one round trip and before fn runs. Each try of the
// transaction queues it anew; it may take locks and must not write.
func DoReading[T proto.Message](ctx context.Context, p *Path, req Request, read func(b *pgx.Batch), fn func(ctx context.Context, tx *Tx) (T, error)) (T, error) {
	var none, response T
	c, err := p.enter(ctx, req)
	if err != nil {
		return none, err
	}
	recorded := false
	var claim idempotency.Claim
	crash.At(crash.BeforeBegin)
	err = p.inTx(ctx, c, &claim, read, func(pgTx pgx.Tx) error {
		crash.At(crash.AfterBegin)
		recorded = false
		if claim.Outcome != nil {
			var err error
			response, err = replay[T](c, claim.Outcome)
			return err
		}
		var err error
		tx := &Tx{Tx: pgTx}
		if response, err = fn(ctx, tx); err != nil {
			return err
		}
		recorded = !tx.unchanged
		err = p.flush(ctx, tx, c, response)
		crash.At(crash.BeforeCommit)
		return err
	})
	if err != nil {
		return none, p.translate(ctx, c, err)
	}
	crash.At(crash.AfterCommit)
	if recorded {
		p.wake()
	}
	return response, nil
}

// inTx runs fn in a transaction that begins, in one round trip, with the claim of the request
// id and what read queues.
func (p *Path) inTx(ctx context.Context, c *call, claim *idempotency.Claim, read func(b *pgx.Batch), fn func(tx pgx.Tx) error) error {
	err := pg.InTxAfter(ctx, p.pool, func(b *pgx.Batch) {
		if c.keyed() {
			p.vault.QueueClaim(b, claim, c.key)
		}
		if read != nil {
			read(b)
		}
	}, fn)
	return inProgress(err, c)
}

// inProgress tells a caller that another call with the request id has not ended.
func inProgress(err error, c *call) error {
	if errors.Is(err, idempotency.ErrBusy) {
		return rpcerr.New(codes.Unavailable, ReasonInProgress, rpcerr.T(
			"A call with request id %q has not ended yet; repeat this one shortly.",
			"请求 id 为 %q 的调用尚未结束；请稍后重试。", c.key.RequestID))
	}
	return err
}

// flush sends what waits, record and outcome in one round trip.
func (p *Path) flush(ctx context.Context, tx *Tx, c *call, response proto.Message) error {
	if err := p.add(ctx, tx, c, response); err != nil {
		return err
	}
	if err := pg.Flush(ctx, tx.Tx, tx.Soon()); err != nil {
		return fmt.Errorf("record the write: %w", err)
	}
	return nil
}

// add has record and outcome of a call wait with what waits.
func (p *Path) add(ctx context.Context, tx *Tx, c *call, response proto.Message) error {
	if err := tx.check(ctx); err != nil {
		return fmt.Errorf("%s: %w", c.action, err)
	}
	if missing(response) {
		return fmt.Errorf("%s: %w", c.action, errNoAnswer)
	}
	q := tx.Soon()
	if err := p.recordIn(ctx, tx.Tx, q, c, &tx.Record); err != nil {
		return err
	}
	return p.keep(ctx, q, c, &tx.Record, response)
}

// DoBatch is Do for writes that need no read: fn queues statements, and they travel with
// the record in one round trip as one implicit transaction. What the statements do is
// known only afterwards, so a constraint's violation comes out of DoBatch and not of fn.
// fn runs also for a call whose outcome is known; then nothing it queued takes effect and
// the caller gets the first outcome, under the promises of Do.
func DoBatch[T proto.Message](ctx context.Context, p *Path, req Request, fn func(ctx context.Context, tx *BatchTx) (T, error)) (T, error) {
	var none, response T
	c, err := p.enter(ctx, req)
	if err != nil {
		return none, err
	}
	recorded := false
	crash.At(crash.BeforeBegin)
	err = pg.InBatch(ctx, p.pool, func(b *pg.Batch) error {
		var err error
		tx := &BatchTx{Batch: b}
		if response, err = fn(ctx, tx); err != nil {
			return err
		}
		recorded = !tx.unchanged
		if err := tx.check(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.action, err)
		}
		if missing(response) {
			return fmt.Errorf("%s: %w", c.action, errNoAnswer)
		}
		if err := p.record(ctx, b, c, &tx.Record); err != nil {
			return err
		}
		err = p.keep(ctx, b, c, &tx.Record, response)
		crash.At(crash.BeforeCommit)
		return err
	})
	if err == nil {
		crash.At(crash.AfterCommit)
		if recorded {
			p.wake()
		}
		return response, nil
	}
	// Whatever went wrong, a repeated call must hear of the first outcome: its own
	// statements may have failed because of it.
	if c.keyed() && !pg.Unavailable(err) && ctx.Err() == nil {
		outcome, findErr := p.vault.Find(ctx, p.pool, c.key)
		if findErr != nil {
			return none, p.translate(ctx, c, findErr)
		}
		if outcome != nil {
			return replay[T](c, outcome)
		}
	}
	return none, p.translate(ctx, c, err)
}
