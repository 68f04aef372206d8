package write

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/crash"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Shared is a call of those that share a transaction.
type Shared[R Request, T proto.Message] struct {
	// Ctx tells who calls, by which right and in which language, and ends with the transaction:
	// a caller who leaves does not take the others along.
	Ctx context.Context
	Req R
	// Tx is where the call reads, and records what it does. It writes by Soon alone: what it
	// queued is left out where the call fails, and goes with that of the others where it does not.
	Tx *Tx
	// Answer and Err are what the call ends with.
	Answer T
	Err    error

	from  context.Context
	call  *call
	claim idempotency.Claim
}

// within is a transaction's context with what that of a call tells.
type within struct {
	context.Context
	from context.Context
}

func (w within) Value(key any) any { return w.from.Value(key) }

// Together runs concurrent calls of one method in common transactions: while some are under
// way the next gather, so that a call alone waits for nobody, and many share what each would
// read for itself, the statements and the commit. Each call is on its own in all else: it has
// its request id, its record and its answer, and its error fails it alone.
type Together[R Request, T proto.Message, S any] struct {
	path   *Path
	gather *pg.Gather[*Shared[R, T]]
	read   func(b *pgx.Batch, calls []*Shared[R, T]) S
	fn     func(ctx context.Context, common S, calls []*Shared[R, T]) error
}

// errAlone is of a call that cannot go with others: its request id is in use.
var errAlone = errors.New("the request id is in use")

// NewTogether makes one of which at most parallel transactions, of at most so many calls, are
// under way at a time. read
// queues what the calls need read, which goes along with the claims of their request ids, and
// gives where it will stand. fn decides them all: it sets the answer or the error of each, and
// returns an error only where the transaction cannot go on; then each call runs again alone.
// Both may run again as in Do.
func NewTogether[R Request, T proto.Message, S any](p *Path, parallel, most int, read func(b *pgx.Batch, calls []*Shared[R, T]) S,
	fn func(ctx context.Context, common S, calls []*Shared[R, T]) error) *Together[R, T, S] {
	g := &Together[R, T, S]{path: p, read: read, fn: fn}
	g.gather = pg.NewGather(parallel, most, g.run)
	return g
}

// Do is [Do] for a call that may go together with others.
func (g *Together[R, T, S]) Do(ctx context.Context, req R) (T, error) {
	var none T
	c, err := g.path.enter(ctx, req)
	if err != nil {
		return none, err
	}
	crash.At(crash.BeforeBegin)
	m := &Shared[R, T]{from: ctx, Req: req, call: c}
	err = g.gather.Do(ctx, m)
	if err == nil && errors.Is(m.Err, errAlone) {
		m = &Shared[R, T]{from: ctx, Req: req, call: c}
		err = g.run(ctx, []*Shared[R, T]{m})
	}
	if err == nil {
		err = m.Err
	}
	switch {
	case err == nil:
		return m.Answer, nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil: // the transaction's own
		return none, rpcerr.Unavailable("database")
	}
	return none, g.path.translate(ctx, c, err)
}

// run makes one transaction of some calls.
func (g *Together[R, T, S]) run(ctx context.Context, all []*Shared[R, T]) error {
	calls := apart(all)
	if len(calls) == 0 {
		return nil
	}
	recorded := false
	var common S
	err := pg.InTxAfter(ctx, g.path.pool, func(b *pgx.Batch) {
		for _, m := range calls {
			m.Ctx, m.Err, m.Tx = within{ctx, m.from}, nil, &Tx{}
		}
		g.claim(b, calls)
		common = g.read(b, calls)
	}, func(tx pgx.Tx) (err error) {
		crash.At(crash.AfterBegin)
		recorded, err = g.decide(ctx, tx, common, calls)
		crash.At(crash.BeforeCommit)
		return err
	})
	if err != nil {
		return inProgress(err, calls[0].call)
	}
	crash.At(crash.AfterCommit)
	if recorded {
		g.path.wake()
	}
	return nil
}

// claim queues the claims of request ids. A call alone waits for one that is in use; many do
// not wait for one of them.
func (g *Together[R, T, S]) claim(b *pgx.Batch, calls []*Shared[R, T]) {
	var claims []*idempotency.Claim
	var keys []idempotency.Key
	for _, m := range calls {
		if m.call.keyed() {
			claims, keys = append(claims, &m.claim), append(keys, m.call.key)
		}
	}
	switch {
	case len(keys) == 0:
	case len(calls) == 1:
		g.path.vault.QueueClaim(b, claims[0], keys[0])
	default:
		g.path.vault.QueueTries(b, claims, keys)
	}
}

// apart gives the calls that are to be run: not those whose callers have gone, nor a second
// one with the same request id.
func apart[R Request, T proto.Message](all []*Shared[R, T]) []*Shared[R, T] {
	calls := make([]*Shared[R, T], 0, len(all))
	keys := make(map[idempotency.Key]bool, len(all))
	for _, m := range all {
		if m.Err = context.Cause(m.from); m.Err != nil {
			continue
		}
		if m.call.keyed() && keys[m.call.key] {
			m.Err = errAlone
			continue
		}
		keys[m.call.key] = true
		calls = append(calls, m)
	}
	return calls
}

// decide has the calls decided that have no outcome yet, and writes what they did.
func (g *Together[R, T, S]) decide(ctx context.Context, tx pgx.Tx, common S, calls []*Shared[R, T]) (recorded bool, err error) {
	fresh := make([]*Shared[R, T], 0, len(calls))
	for _, m := range calls {
		switch {
		case m.claim.Busy:
			m.Err = errAlone
		case m.claim.Outcome != nil:
			m.Answer, m.Err = replay[T](m.call, m.claim.Outcome)
		default:
			m.Tx.Tx = tx
			fresh = append(fresh, m)
		}
	}
	if len(fresh) == 0 {
		return false, nil
	}
	if err := g.fn(ctx, common, fresh); err != nil {
		return false, err
	}
	var batches []*pg.Batch
	for _, m := range fresh {
		if m.Err != nil {
			if m.Tx.sent {
				return false, fmt.Errorf("%s: a call failed that had written: %w", m.call.action, m.Err)
			}
			continue
		}
		if err := g.path.add(m.Ctx, m.Tx, m.call, m.Answer); err != nil {
			return false, err
		}
		batches = append(batches, m.Tx.Soon())
		recorded = recorded || !m.Tx.unchanged
	}
	q, err := pg.Merge(ctx, batches)
	if err == nil {
		err = pg.Flush(ctx, tx, q)
	}
	if err != nil {
		return false, fmt.Errorf("record the writes: %w", err)
	}
	return recorded, nil
}
