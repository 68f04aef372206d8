package server

import "github.com/kefu-suite/kefu/services/internal/clock"

// Clocks are those of change reports, for tests that sweep them.
func (s *Server) Clocks() *clock.Store { return s.clocks }
