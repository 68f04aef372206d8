package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Sender is what statements can be sent to together: a pool, a connection or a transaction.
type Sender interface {
	DBTX
	batcher
}

// OnePlan runs queries by the plan for any arguments, which a session makes once. It is for a
// query that goes by its indexes whatever the arguments and is dearer to plan than to run:
// Postgres would otherwise go on to plan it for each call wherever it guesses that knowing
// the arguments helps. The setting travels along with the query and, outside of a
// transaction, ends with it; within one it lasts to its end. Exec is as ever.
type OnePlan struct{ Sender }

const forceOnePlan = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true)"

func (p OnePlan) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	b := new(pgx.Batch)
	b.Queue(forceOnePlan)
	b.Queue(sql, args...)
	sent := p.SendBatch(ctx, b)
	if _, err := sent.Exec(); err != nil {
		_ = sent.Close() // repeats err
		return nil, err
	}
	return sent, nil
}

// Query runs a query; the rows must be closed, as ever.
func (p OnePlan) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	sent, err := p.send(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := sent.Query()
	if err != nil {
		_ = sent.Close() // repeats err
		return nil, err
	}
	return sentRows{rows, sent}, nil
}

// QueryRow runs a query for one row; errors come out of its Scan, as ever.
func (p OnePlan) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	sent, err := p.send(ctx, sql, args)
	return sentRow{sent, err}
}

// sentRows give their connection back when they are closed.
type sentRows struct {
	pgx.Rows
	sent pgx.BatchResults
}

func (r sentRows) Close() {
	r.Rows.Close()
	_ = r.sent.Close() // what went wrong is in Err
}

type sentRow struct {
	sent pgx.BatchResults
	err  error
}

func (r sentRow) Scan(to ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.sent.QueryRow().Scan(to...)
	if closing := r.sent.Close(); err == nil {
		err = closing
	}
	return err
}
