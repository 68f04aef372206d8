package server

import (
	"context"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
)

// startMissing starts the clocks of kinds that had no deadline before and have one by the
// policy or severity now: from when they would have started, with what happened since.
func (k *course) startMissing(ctx context.Context, tx *write.Tx) error {
	has, err := k.clocks.List(ctx, tx, k.c.ID)
	if err != nil || !policy.Lacking(k.policy, k.facts, has) {
		return err
	}
	gone := complaint.Past{Create: k.c.CreateTime.UTC()}
	if err := k.histories(ctx, tx, []uuid.UUID{k.c.ID}, func(uuid.UUID) *complaint.Past { return &gone }); err != nil {
		return err
	}
	past := policy.Case{Facts: k.facts, Events: gone.Events(), Holds: gone.Holds()}
	for _, m := range past.Missing(k.policy, has) {
		spec, err := k.spec(ctx, clause{m.Kind, m.Choice}, m.Start)
		if err != nil {
			return err
		}
		since, err := m.Since(spec.Terms, k.calendar(ctx))
		if err != nil {
			return err
		}
		if _, err := k.clocks.Start(ctx, tx, spec); err != nil {
			return err
		}
		if err := k.clocks.Recall(ctx, tx, clock.Select{Subject: k.c.ID, Kinds: []string{m.Kind}}, since); err != nil {
			return err
		}
	}
	return nil
}
