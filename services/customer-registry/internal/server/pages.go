package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
)

// newest is a cursor before every row, for lists that begin with the newest.
var (
	newestID   = uuid.Max
	newestTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

// idCursor reads a page token whose cursor is an id; without a token it is first.
func (s *Server) idCursor(ctx context.Context, req proto.Message, token string, first uuid.UUID) (uuid.UUID, error) {
	cursor, err := s.pages.Open(ctx, req, token)
	if err != nil || cursor == "" {
		return first, err
	}
	id, err := uuid.Parse(cursor)
	if err != nil {
		return uuid.Nil, fmt.Errorf("cursor of a page token: %w", err)
	}
	return id, nil
}

// timeCursor reads a page token whose cursor is a time and an id.
func (s *Server) timeCursor(ctx context.Context, req proto.Message, token string) (time.Time, uuid.UUID, error) {
	cursor, err := s.pages.Open(ctx, req, token)
	if err != nil || cursor == "" {
		return newestTime, newestID, err
	}
	at, id, _ := strings.Cut(cursor, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return time.Time{}, uuid.Nil, fmt.Errorf("cursor of a page token: %w", err)
	}
	before, err := uuid.Parse(id)
	if err != nil {
		return time.Time{}, uuid.Nil, fmt.Errorf("cursor of a page token: %w", err)
	}
	return time.UnixMicro(micros).UTC(), before, nil
}

// timeAndID is the cursor that timeCursor reads.
func timeAndID(at time.Time, id uuid.UUID) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + " " + id.String()
}

// cut takes the page from rows, which hold one more when there is a next page,
// and seals the token of the next one.
func cut[R any](ctx context.Context, s *Server, req proto.Message, rows []R, size int32, cursor func(*R) string) ([]R, string, error) {
	if len(rows) <= int(size) {
		return rows, "", nil
	}
	rows = rows[:size]
	next, err := s.pages.Seal(ctx, req, cursor(&rows[size-1]))
	return rows, next, err
}
