package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Along has a batch travel with the first query that is sent through it, in one round trip
// and one transaction. It is for what a read leaves behind. [Along.Done] says whether the
// batch is committed, and sends it by itself where no query took it. It is not safe for
// concurrent use.
type Along struct {
	Sender
	batch *Batch // nil once it was sent
	sent  pgx.BatchResults
	err   error
}

var errStillRead = errors.New("the rows that a batch went along with are still being read")

// NewAlong sends through on, which must not be a transaction. An empty batch changes nothing.
func NewAlong(on Sender, b *Batch) *Along {
	a := &Along{Sender: on}
	if b.Len() > 0 {
		a.batch = b
	}
	return a
}

// Query runs a query; the rows must be closed, as ever.
func (a *Along) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if a.batch == nil {
		return a.Sender.Query(ctx, sql, args...)
	}
	if err := a.send(ctx, sql, args...); err != nil {
		return nil, err
	}
	rows, err := a.sent.Query()
	if err != nil {
		_ = a.close() // repeats err
		return nil, err
	}
	return alongRows{rows, a}, nil
}

// QueryRow runs a query for one row; errors come out of its Scan, as ever.
func (a *Along) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if a.batch == nil {
		return a.Sender.QueryRow(ctx, sql, args...)
	}
	return alongRow{a, a.send(ctx, sql, args...)}
}

// Done returns nil once the batch is committed. Any error means that this is not certain; it
// is that of the transaction, of which the query that took the batch along is a part.
func (a *Along) Done(ctx context.Context) error {
	switch {
	case a.sent != nil:
		return errStillRead
	case a.batch == nil:
		return a.err
	}
	alone := a.batch
	a.batch = nil
	a.err = send(ctx, a.Sender, &alone.queued)
	return a.err
}

// send sends the batch with a query behind it, and reads up to the query.
func (a *Along) send(ctx context.Context, sql string, args ...any) error {
	together := &a.batch.queued
	before := together.Len()
	together.Queue(sql, args...)
	a.batch, a.sent = nil, a.SendBatch(ctx, together)
	for range before {
		if _, err := a.sent.Exec(); err != nil {
			_ = a.close() // repeats err
			a.err = err
			return err
		}
	}
	return nil
}

// close ends the transaction, if it is not over.
func (a *Along) close() error {
	if a.sent == nil {
		return nil
	}
	a.err = a.sent.Close()
	a.sent = nil
	return a.err
}

// alongRows give their connection back when they are closed.
type alongRows struct {
	pgx.Rows
	along *Along
}

func (r alongRows) Close() {
	r.Rows.Close()
	_ = r.along.close() // Done tells it
}

type alongRow struct {
	along *Along
	err   error
}

func (r alongRow) Scan(to ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.along.sent.QueryRow().Scan(to...)
	if closing := r.along.close(); err == nil {
		err = closing
	}
	return err
}
