package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var errBatchRead = errors.New("a batch cannot read: use pg.InTx for a query that returns rows")

// Batch collects the statements of one [InBatch] or one [Flush]. It satisfies [DBTX], so
// sqlc's :exec queries queue on it unchanged. It is not safe for concurrent
// use.
type Batch struct{ queued pgx.Batch }

// Exec queues the statement and reports no error and an empty tag: what the
// statement does is known only when InBatch or Flush returns. Queries that need the
// number of rows (:execrows) therefore belong in [InTx].
func (b *Batch) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	b.queued.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query always fails: a batch has nothing to read from yet.
func (b *Batch) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return nil, errBatchRead
}

// QueryRow returns a row whose Scan always fails, as [Batch.Query] does.
func (b *Batch) QueryRow(context.Context, string, ...any) pgx.Row {
	return failedRow{}
}

// Flush runs what b queued inside the open transaction tx, in one round trip.
// The first statement that fails ends the batch with its error, after which tx
// can only roll back. An empty batch does not touch the database. A batch is
// spent once it is flushed.
func Flush(ctx context.Context, tx pgx.Tx, b *Batch) error {
	if b.queued.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &b.queued).Close(); err != nil {
		return fmt.Errorf("send %d statements: %w", b.queued.Len(), err)
	}
	return nil
}

// Len is the number of statements queued so far.
func (b *Batch) Len() int { return b.queued.Len() }

type failedRow struct{}

func (failedRow) Scan(...any) error { return errBatchRead }
