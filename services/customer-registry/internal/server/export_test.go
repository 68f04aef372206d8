package server

import "github.com/kefu-suite/kefu/services/internal/clock"

// Clocks are those of change reports, for tests that sweep them.
func (s *Server) Clocks() *clock.Store { return s.clocks }

// LimitSheets makes a sheet take fewer files, for tests that fill one.
func (s *Server) LimitSheets(rows int64) { s.sheetRows = rows }

// KeepOfSheets makes imports keep fewer faults, for tests with more.
func (s *Server) KeepOfSheets(kept int64) { s.sheetKept = kept }
