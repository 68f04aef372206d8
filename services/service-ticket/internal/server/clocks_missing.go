package server

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// startMissing starts the clocks of kinds that had no deadline before and have one by the
// policy now: from when they would have started, with the holds since.
func (s *Server) startMissing(ctx context.Context, tx *write.Tx, p *clockv1.Policy, row *db.Ticket) error {
	there, err := s.clocks.List(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	kinds, choices := chosen(p, row, func(c *clockv1.PolicyClause) bool {
		return !slices.ContainsFunc(there, func(k clock.Clock) bool { return k.Kind == c.GetKind() && k.State.Stop.IsZero() })
	})
	if len(kinds) == 0 {
		return nil
	}
	history := ticket.History{Create: row.CreateTime, Resolve: timeValue(row.ResolveTime)}
	if err := s.histories(ctx, tx, []uuid.UUID{row.ID}, func(uuid.UUID) *ticket.History { return &history }); err != nil {
		return err
	}
	past := policy.Case{ID: row.ID, Number: row.Number, Create: row.CreateTime, Events: history.Events(), Holds: history.Holds()}
	for i, choice := range choices {
		start, ok := past.Running(choice.Clause)
		if !ok || judged(there, kinds[i], start) {
			continue
		}
		if err := s.startPast(ctx, tx, p, row, &past, kinds[i], choice, start); err != nil {
			return err
		}
	}
	return nil
}

// judged tells whether a clock of the kind that started then ended other than for want of a
// deadline.
func judged(there []clock.Clock, kind string, start time.Time) bool {
	return slices.ContainsFunc(there, func(k clock.Clock) bool {
		return k.Kind == kind && k.State.Start.Equal(start) && k.State.StopReason != reasonNoTarget
	})
}

// startPast starts a clock at an instant gone by and tells it of the holds since.
func (s *Server) startPast(ctx context.Context, tx *write.Tx, p *clockv1.Policy, row *db.Ticket, past *policy.Case, kind string, choice policy.Choice, start time.Time) error {
	terms, err := s.terms(ctx, tx, p, choice, start)
	if err != nil {
		return err
	}
	if _, err := s.clocks.Start(ctx, tx, clock.Spec{
		Subject: clock.Subject{Type: ticket.SubjectType, ID: row.ID}, Kind: kind, Round: row.Round, At: start,
		Owner: keeper(choice.Clause, row), Terms: terms,
	}); err != nil {
		return err
	}
	of := clock.Select{Subject: row.ID, Kinds: []string{kind}}
	for _, e := range past.Paused(terms.PauseReasons) {
		act := clock.Act{At: e.At, Reason: e.Reason}
		if e.Type == clock.EntryPaused {
			_, err = s.clocks.Pause(ctx, tx, of, act)
		} else {
			_, err = s.clocks.Resume(ctx, tx, of, act)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
