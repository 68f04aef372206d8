package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/page"
)

// paged is the request of a list.
type paged interface {
	proto.Message
	GetPageToken() string
}

// before opens the page token: the id that all rows of the page are less than.
func (s *Server) before(ctx context.Context, req paged) (uuid.UUID, error) {
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return uuid.Nil, err
	}
	if cursor == "" {
		return uuid.Max, nil
	}
	return uuid.Parse(cursor)
}

// cut takes the one row too many that was asked for as the sign of a next page.
func cut[R any](ctx context.Context, pages *page.Sealer, req paged, rows []R, size int32, id func(R) uuid.UUID) ([]R, string, error) {
	if len(rows) <= int(size) {
		return rows, "", nil
	}
	rows = rows[:size]
	token, err := pages.Seal(ctx, req, id(rows[len(rows)-1]).String())
	return rows, token, err
}
