package server

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// planned has each query planned for its own arguments. A plan for any
// arguments, which Postgres makes after a few runs, cannot know whether a search
// text is rare or common and whether a filter is used at all.
type planned struct{ *pgxpool.Pool }

var _ db.DBTX = planned{}

func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.Pool.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}
