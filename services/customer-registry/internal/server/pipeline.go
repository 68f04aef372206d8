package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// pipeline collects statements that return nothing and sends them through a
// transaction in one round trip.
type pipeline struct{ queued pgx.Batch }

var errPipelineRead = errors.New("a pipeline cannot read")

func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.queued.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (p *pipeline) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return nil, errPipelineRead
}

func (p *pipeline) QueryRow(context.Context, string, ...any) pgx.Row { return unreadable{} }

type unreadable struct{}

func (unreadable) Scan(...any) error { return errPipelineRead }

func (p *pipeline) send(ctx context.Context, tx pgx.Tx) error {
	if p.queued.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &p.queued).Close(); err != nil {
		return fmt.Errorf("send %d statements: %w", p.queued.Len(), err)
	}
	return nil
}

// planned has each query planned for its own arguments. A plan for any
// arguments, which Postgres makes after a few runs, cannot know whether a search
// text is rare or common and whether a filter is used at all.
type planned struct{ *pgxpool.Pool }

var _ db.DBTX = planned{}

func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.Pool.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}
