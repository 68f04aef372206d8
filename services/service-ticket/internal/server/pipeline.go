package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/page"
)

// pipeline collects statements that return nothing and sends them through a transaction
// in one round trip.
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

// paged is a request for a page of a list.
type paged interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// onePage cuts the row too many that tells whether there is a next page, and seals the
// token of that page.
func onePage[R any](ctx context.Context, s *Server, req paged, rows []R, cursor func(R) string) ([]R, string, error) {
	size := int(page.Size(req.GetPageSize()))
	if len(rows) <= size {
		return rows, "", nil
	}
	rows = rows[:size]
	token, err := s.pages.Seal(ctx, req, cursor(rows[size-1]))
	return rows, token, err
}

// onceMore is the number of rows to read for a page.
func onceMore(req paged) int32 { return page.Size(req.GetPageSize()) + 1 }
