package server

import (
	"context"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// startMissing starts the clocks of kinds that had no deadline before and have one by the
// policy now: from when they would have started, with the holds since.
func (c *ticketClocks) startMissing(ctx context.Context, p *clockv1.Policy) error {
	s, tx, row, has := c.s, c.tx, c.row, c.Clocks()
	if !policy.Lacking(p, facts(row), has) {
		return nil
	}
	history := ticket.History{Create: row.CreateTime, Resolve: timeValue(row.ResolveTime)}
	if err := s.histories(ctx, tx, []uuid.UUID{row.ID}, func(uuid.UUID) *ticket.History { return &history }); err != nil {
		return err
	}
	past := policy.Case{Facts: facts(row), Events: history.Events(), Holds: history.Holds()}
	for _, m := range past.Missing(p, has) {
		terms, err := s.terms(ctx, tx, p, m.Choice, m.Start)
		if err != nil {
			return err
		}
		since, err := m.Since(terms, func(id string) (*worktime.Calendar, error) {
			cal, _, err := s.calendars.Load(ctx, tx, id)
			return cal, err
		})
		if err != nil {
			return err
		}
		if err := c.Start(ctx, clock.Spec{
			Subject: clock.Subject{Type: ticket.SubjectType, ID: row.ID}, Kind: m.Kind, Round: row.Round, At: m.Start,
			Owner: keeper(m.Choice.Clause, row), Terms: terms,
		}); err != nil {
			return err
		}
		if err := c.Recall(ctx, clock.Select{Kinds: []string{m.Kind}}, since); err != nil {
			return err
		}
	}
	return nil
}
