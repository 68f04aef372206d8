package server

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/page"
)

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
