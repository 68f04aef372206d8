package db

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// DrawTicketAnd is DrawTicket with what more queues, in the same round trip.
func (q *Queries) DrawTicketAnd(ctx context.Context, on pg.Sender, customer *uuid.UUID, now time.Time, more func(b *pgx.Batch)) (DrawTicketRow, error) {
	var drawn []DrawTicketRow
	b := new(pgx.Batch)
	collect(b, &drawn, drawTicket, customer, now)
	more(b)
	if err := on.SendBatch(ctx, b).Close(); err != nil {
		return DrawTicketRow{}, err
	}
	return drawn[0], nil
}
