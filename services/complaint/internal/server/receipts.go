package server

import (
	"context"
	"fmt"
	"slices"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

// numbered is a clock and its place in the list of its complaint, from 1: clocks are only
// added to it.
type numbered struct {
	clock.Clock
	n int64
}

// ListComplaintClocks lists the deadlines of a complaint, oldest first, and after them those
// of the present round whose start has not come. What was promised to the customer stands
// apart.
func (s *Server) ListComplaintClocks(ctx context.Context, req *complaintv1.ListComplaintClocksRequest) (*complaintv1.ListComplaintClocksResponse, error) {
	c, after, size, err := s.history(ctx, req)
	if err != nil {
		return nil, err
	}
	all, err := s.clocks.List(ctx, s.pool, c.ID)
	if err != nil {
		return nil, err
	}
	now, out := s.now(), &complaintv1.ListComplaintClocksResponse{}
	// A complaint has a few, and each is folded from its log anyway.
	var rows []numbered
	for i := range all {
		switch of := &all[i]; {
		case of.Kind == complaint.ClockPromise:
			out.Promise = of.Proto(now)
		case int64(i) >= after && (req.GetRound() == 0 || req.GetRound() == of.Round):
			rows = append(rows, numbered{*of, int64(i) + 1})
		}
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(c numbered) int64 { return c.n })
	if err != nil {
		return nil, err
	}
	out.NextPageToken = next
	for i := range rows {
		out.Clocks = append(out.Clocks, rows[i].Proto(now))
	}
	if next != "" || req.GetRound() != 0 && req.GetRound() != c.Round {
		return out, nil
	}
	pending, err := s.pending(ctx, &c, all)
	out.Clocks = append(out.Clocks, pending...)
	return out, err
}

// pending gives the clocks of the present round whose start has not come.
func (s *Server) pending(ctx context.Context, c *db.Complaint, clocks []clock.Clock) ([]*clockv1.Clock, error) {
	if !clocked(c) {
		return nil, nil
	}
	round, err := s.q.GetRound(ctx, s.pool, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read round: %w", err)
	}
	k, err := s.course(ctx, s.pool, c, &round)
	if err != nil {
		return nil, err
	}
	var out []*clockv1.Clock
	for _, of := range k.chosen(func(clause *clockv1.PolicyClause) bool {
		return complaint.ToCome(complaint.State(c.State), clause.GetStartEvent())
	}) {
		if slices.ContainsFunc(clocks, func(has clock.Clock) bool { return has.Kind == of.kind && has.Round == c.Round }) {
			continue
		}
		spec, err := k.spec(ctx, of, s.now())
		if err != nil {
			return nil, err
		}
		out = append(out, clock.PendingProto(spec.Subject, spec.Kind, spec.Round, spec.Owner, spec.Terms))
	}
	return out, nil
}

// ExplainComplaintClock explains a deadline piece by piece.
func (s *Server) ExplainComplaintClock(ctx context.Context, req *complaintv1.ExplainComplaintClockRequest) (*clockv1.ClockExplanation, error) {
	c, err := s.wholly(ctx, id(req.GetComplaintId()))
	if err != nil {
		return nil, err
	}
	clocks, err := s.clocks.List(ctx, s.pool, c.ID)
	if err != nil {
		return nil, err
	}
	found := clock.Named(clocks, req.GetClock(), req.GetRound())
	if found == nil {
		return nil, rpcerr.NotFound("clock", req.GetClock()).With("complaint_id", c.ID.String())
	}
	out, err := s.clocks.Explain(ctx, s.pool, found.ID)
	if err != nil {
		return nil, fmt.Errorf("explain a clock: %w", err)
	}
	return out, nil
}
