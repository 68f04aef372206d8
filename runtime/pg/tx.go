package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/sethvargo/go-retry"
)

// SQLSTATEs after which the whole transaction may simply run again.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

const (
	maxRetries = 4
	retryBase  = 5 * time.Millisecond
)

// InTx runs fn in one read committed transaction and commits it when fn
// returns nil. After a serialization failure or a deadlock, in fn or at the
// commit, it runs fn again in a new transaction, at most four times with
// growing, jittered pauses. Any other error of fn rolls back and is returned
// as it is. An error of the commit is returned too; when it leaves open
// whether the commit took effect it matches [ErrOutcomeUnknown].
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	return again(ctx, func(ctx context.Context) error {
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		if err != nil {
			return err
		}
		return within(ctx, tx, fn)
	})
}

// InTxAfter is InTx for a transaction that begins along with what first queues, in one round
// trip: fn runs once that has been done. What is queued says by its own functions what becomes
// of its results; first runs for each try.
func InTxAfter(ctx context.Context, pool *pgxpool.Pool, first func(b *pgx.Batch), fn func(tx pgx.Tx) error) error {
	return again(ctx, func(ctx context.Context) error {
		b := new(pgx.Batch)
		b.BeginTx(pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		first(b)
		sent := pool.SendBatch(ctx, b)
		begun := sent.Tx()
		return within(ctx, begun, func(tx pgx.Tx) error {
			if err := sent.Close(); err != nil {
				return err
			}
			return fn(tx)
		})
	})
}

// within ends a transaction with fn.
func within(ctx context.Context, tx pgx.Tx, fn func(tx pgx.Tx) error) error {
	defer rollBack(ctx, tx)
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return commitError(err)
	}
	return nil
}

// rollBack ends tx unless it has ended. It outlives ctx, because with a context that is
// over pgx closes the connection instead.
func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
	defer cancel()
	_ = tx.Rollback(ctx) // a failure closes the connection, which rolls back as well
}

// InBatch lets fn queue statements and sends them in one round trip as one
// implicit transaction: either all take effect or none. Statements new to the
// connection are prepared first, which costs that connection one more round
// trip once. Retries and commit errors are those of [InTx]. A batch left empty
// does not touch the database.
func InBatch(ctx context.Context, pool *pgxpool.Pool, fn func(b *Batch) error) error {
	return again(ctx, func(ctx context.Context) error {
		b := new(Batch)
		if err := fn(b); err != nil {
			return err
		}
		if b.queued.Len() == 0 {
			return nil
		}
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		return send(ctx, conn.Conn(), &b.queued)
	})
}

func send(ctx context.Context, on batcher, queued *pgx.Batch) error {
	results := on.SendBatch(ctx, queued)
	for i := range queued.Len() {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // repeats err
			return fmt.Errorf("statement %d of the batch: %w", i+1, commitError(err))
		}
	}
	// Deferred constraints speak only here, at the implicit commit.
	if err := results.Close(); err != nil {
		return fmt.Errorf("commit the batch: %w", commitError(err))
	}
	return nil
}

// batcher is what batches can be sent to.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// commitError marks err unless it proves that nothing was committed. An ERROR
// proves it; a FATAL does not, because the server may have been told to stop
// between the commit and its answer. pgx calls a connection that broke while it
// waited for the answer "closed", and an error with that name safe to retry: here
// it is not.
func commitError(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.SeverityUnlocalized != "FATAL" && pe.SeverityUnlocalized != "PANIC" {
		return err
	}
	if errors.Is(err, pgx.ErrTxCommitRollback) || (pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed)) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

func again(ctx context.Context, attempt retry.RetryFunc) error {
	backoff := retry.WithMaxRetries(maxRetries, retry.WithFullJitter(retry.NewExponential(retryBase)))
	return retry.Do(ctx, backoff, func(ctx context.Context) error {
		err := attempt(ctx)
		switch Code(err) {
		case serializationFailure, deadlockDetected:
			return retry.RetryableError(err)
		}
		return err
	})
}
