package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kefu-suite/kefu/runtime/write"
)

// pipeline collects the statements of a transaction that answer nothing, and sends them
// in one round trip.
type pipeline struct {
	*write.Tx
	queued pgx.Batch
}

// Exec queues; what it meets is known when the queue is sent.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.queued.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// send runs what was queued. queueing are the answers of the queries that queued it.
func (p *pipeline) send(ctx context.Context, queueing ...error) error {
	if err := errors.Join(queueing...); err != nil {
		return err
	}
	if err := p.SendBatch(ctx, &p.queued).Close(); err != nil {
		return fmt.Errorf("write complaint: %w", err)
	}
	return nil
}
