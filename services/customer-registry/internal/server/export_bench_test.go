//go:build bench

package server

import (
	"context"

	"github.com/kefu-suite/kefu/runtime/audit"
)

// LeaveNoRecord has reads of files leave none.
func (s *Server) LeaveNoRecord() {
	s.begin = func(ctx context.Context, _ ...audit.Act) *audit.Reading { return s.reads.Begin(ctx) }
}
