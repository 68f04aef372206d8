package server

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// ListTicketClocks lists the deadlines of a ticket, oldest first, and after them those whose
// start is to come.
func (s *Server) ListTicketClocks(ctx context.Context, req *ticketv1.ListTicketClocksRequest) (*ticketv1.ListTicketClocksResponse, error) {
	row, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	after, err := s.cursor(ctx, req)
	if err != nil {
		return nil, err
	}
	all, err := s.clocks.List(ctx, s.pool, row.ID)
	if err != nil {
		return nil, err
	}
	// A ticket has a few, and each is folded from its log anyway.
	rest := all[slices.IndexFunc(append(all, clock.Clock{ID: uuid.Max}), func(c clock.Clock) bool {
		return bytes.Compare(c.ID[:], after[:]) > 0
	}):]
	page, next, err := onePage(ctx, s, req, rest, func(c clock.Clock) string { return c.ID.String() })
	if err != nil {
		return nil, err
	}
	out, now := &ticketv1.ListTicketClocksResponse{NextPageToken: next}, s.now()
	for i := range page {
		out.Clocks = append(out.Clocks, page[i].Proto(now))
	}
	if next != "" {
		return out, nil
	}
	pending, err := s.pending(ctx, &row, all)
	if err != nil {
		return nil, err
	}
	out.Clocks = append(out.Clocks, pending...)
	return out, nil
}

// pending gives the clocks of the present round that an assignment or a public reply will
// start.
func (s *Server) pending(ctx context.Context, row *db.Ticket, clocks []clock.Clock) ([]*clockv1.Clock, error) {
	if !clocked(row) || !ticket.Open(ticket.State(row.State)) {
		return nil, nil
	}
	coming := []string{ticket.EventReplied}
	if row.AssigneeStaffID == nil {
		coming = append(coming, ticket.EventAssigned)
	}
	specs, err := s.starting(ctx, s.pool, row, s.now(), coming...)
	if err != nil {
		return nil, err
	}
	var out []*clockv1.Clock
	for _, spec := range specs {
		if !slices.ContainsFunc(clocks, func(c clock.Clock) bool { return c.Kind == spec.Kind && c.Open() }) {
			out = append(out, clock.PendingProto(spec.Subject, spec.Kind, spec.Round, spec.Owner, spec.Terms))
		}
	}
	return out, nil
}

// ExplainTicketClock explains a deadline piece by piece.
func (s *Server) ExplainTicketClock(ctx context.Context, req *ticketv1.ExplainTicketClockRequest) (*clockv1.ClockExplanation, error) {
	row, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	clocks, err := s.clocks.List(ctx, s.pool, row.ID)
	if err != nil {
		return nil, err
	}
	found := clock.Named(clocks, req.GetClock(), req.GetRound())
	if found == nil {
		return nil, rpcerr.NotFound("clock", req.GetClock()).With("ticket_id", row.ID.String())
	}
	out, err := s.clocks.Explain(ctx, s.pool, found.ID)
	if err != nil {
		return nil, fmt.Errorf("explain a clock: %w", err)
	}
	return out, nil
}
