package clock

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
)

// Case is clocks of one case, held for several changes that are stored together: each sees
// what those before it did, and nothing is stored before [Case.Queue]. Its changes are those
// of the [Store] of the same names, among the clocks that are held; Subject of their Select
// is not looked at. A Case lives as long as its transaction, is not safe for concurrent use,
// and after an error only fit to be left.
type Case struct {
	store   *Store
	tx      *write.Tx
	clocks  []*held
	present *present
}

// Hold locks the selected clocks of a case, in one round trip.
func (s *Store) Hold(ctx context.Context, tx *write.Tx, sel Select) (*Case, error) {
	kinds := sel.Kinds
	if kinds == nil {
		kinds = []string{}
	}
	rows, entries, err := s.q.HoldWithEntries(ctx, tx, db.HoldClocksParams{
		SubjectID: sel.Subject, Kinds: kinds, Round: sel.Round, Ended: sel.Ended,
	})
	if err != nil {
		return nil, fmt.Errorf("hold clocks: %w", err)
	}
	c := &Case{store: s, tx: tx, clocks: s.assemble(ctx, tx, rows, entries), present: s.present(tx)}
	return c, whole(c.clocks)
}

// Clocks gives the clocks that are held or were started, as they stand.
func (c *Case) Clocks() []Clock {
	out := make([]Clock, len(c.clocks))
	for i, h := range c.clocks {
		out[i] = h.Clock
	}
	return out
}

// Due is when the first of the open clocks that are held is due; zero for never.
func (c *Case) Due() (due time.Time) {
	for _, h := range c.clocks {
		if h.Open() && !h.Due.IsZero() && (due.IsZero() || h.Due.Before(due)) {
			due = h.Due
		}
	}
	return due
}

// Start adds clocks to the case. It fails with [ErrOpen] where one of the kind and round that
// is held is open.
func (c *Case) Start(ctx context.Context, specs ...Spec) error {
	openings, err := c.store.prepare(ctx, c.present, specs)
	if err != nil {
		return err
	}
	for i := range openings {
		o := &openings[i].Clock
		if slices.ContainsFunc(c.clocks, func(h *held) bool { return h.Open() && h.Kind == o.Kind && h.Round == o.Round }) {
			return ErrOpen
		}
		c.clocks = append(c.clocks, openings[i].held())
	}
	return nil
}

// Pause is that of the Store.
func (c *Case) Pause(ctx context.Context, sel Select, act Act) ([]Clock, error) {
	return c.change(ctx, sel, func(h *held) error {
		if !h.Terms.pausesFor(act.Reason) || h.Held(act.Reason) {
			return nil
		}
		return c.store.add(h, c.store.acted(ctx, EntryPaused, act))
	})
}

// Resume is that of the Store.
func (c *Case) Resume(ctx context.Context, sel Select, act Act) ([]Clock, error) {
	return c.change(ctx, sel, func(h *held) error {
		if !h.Held(act.Reason) {
			return nil
		}
		return c.store.add(h, c.store.acted(ctx, EntryResumed, act))
	})
}

// Stop is that of the Store.
func (c *Case) Stop(ctx context.Context, sel Select, act Act) ([]Clock, error) {
	return c.end(ctx, sel, EntryStopped, act)
}

// Cancel is that of the Store.
func (c *Case) Cancel(ctx context.Context, sel Select, act Act) ([]Clock, error) {
	return c.end(ctx, sel, EntryCancelled, act)
}

func (c *Case) end(ctx context.Context, sel Select, t Type, act Act) ([]Clock, error) {
	return c.change(ctx, sel, func(h *held) error {
		if !h.Open() {
			return nil
		}
		if at := instant(act.At); !h.Due.IsZero() && at.After(h.Due) && h.Phase != Missed {
			missed := c.store.entry(ctx, EntryMissed, latest(at, c.store.now()))
			missed.Scheduled = h.Due
			if err := c.store.add(h, missed); err != nil {
				return err
			}
		}
		return c.store.add(h, c.store.acted(ctx, t, act))
	})
}

// Retarget is that of the Store.
func (c *Case) Retarget(ctx context.Context, sel Select, act Act, terms func(c *Clock) (Terms, bool, error)) ([]Clock, error) {
	return c.change(ctx, sel, func(h *held) error {
		if h.cancelled {
			return nil
		}
		t, ok, err := terms(&h.Clock)
		if err != nil || !ok || t.same(h.Terms) {
			return err
		}
		cal, version, err := c.present.get(ctx, t.CalendarID)
		if err != nil {
			return err
		}
		if t, err = t.Resolve(cal, version, h.State.Start); err != nil {
			return fmt.Errorf("retarget clock %s: %w", h.ID, err)
		}
		entry := c.store.acted(ctx, EntryRetargeted, act)
		entry.Terms = &t
		return c.store.retarget(h, entry, cal)
	})
}

// HandOver is that of the Store.
func (c *Case) HandOver(ctx context.Context, sel Select, act Act, to Owner) ([]Clock, error) {
	return c.change(ctx, sel, func(h *held) error {
		if h.Owner == to || !h.Open() {
			return nil
		}
		entry := c.store.acted(ctx, EntryHandedOver, act)
		entry.Owner = &to
		return c.store.add(h, entry)
	})
}

// Extend is that of the Store.
func (c *Case) Extend(ctx context.Context, sel Select, act Act, amount time.Duration) ([]Clock, error) {
	return c.change(ctx, sel, func(h *held) error {
		if !h.Open() || h.PhaseAt(act.At) == Missed {
			return nil
		}
		entry := c.store.acted(ctx, EntryExtended, act)
		entry.Amount = amount
		return c.store.add(h, entry)
	})
}

// Recall is that of the Store.
func (c *Case) Recall(ctx context.Context, sel Select, gone []Entry) error {
	for _, e := range gone {
		act := Act{At: e.At, Reason: e.Reason}
		var err error
		switch e.Type {
		case EntryPaused:
			_, err = c.Pause(ctx, sel, act)
		case EntryResumed:
			_, err = c.Resume(ctx, sel, act)
		case EntryExtended:
			_, err = c.Extend(ctx, sel, act, e.Amount)
		default:
			err = fmt.Errorf("recall %v", e.Type)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// change brings the selected clocks up to the present version of their calendars and lets fn
// add entries. It gives the clocks that fn changed.
func (c *Case) change(ctx context.Context, sel Select, fn func(h *held) error) ([]Clock, error) {
	var changed []Clock
	for _, h := range c.clocks {
		if !sel.takes(h) {
			continue
		}
		if err := c.store.follow(ctx, c.present, h); err != nil {
			return nil, err
		}
		n := h.added
		if err := fn(h); err != nil {
			return nil, err
		}
		if h.added > n {
			changed = append(changed, h.Clock)
		}
	}
	return changed, nil
}

func (sel *Select) takes(h *held) bool {
	by := instant(sel.StartedBy)
	return (sel.Ended || h.Open()) && (len(sel.Kinds) == 0 || slices.Contains(sel.Kinds, h.Kind)) &&
		(sel.Round == 0 || sel.Round == h.Round) && (sel.StartedBy.IsZero() || !h.State.Start.After(by))
}

// Queue hands what changed over to q, which must be a part of the case's transaction and sent
// before it ends, and has the transaction tell of it.
func (c *Case) Queue(ctx context.Context, q Execer) error {
	to, w := execOnly{q}, writing{store: c.store}
	for _, h := range c.clocks {
		if h.added == 0 && h.checked == h.stored {
			continue
		}
		if err := w.add(ctx, to, h); err != nil {
			return err
		}
		h.tell(c.tx)
	}
	return w.send(ctx, to)
}

// Store stores what changed, in one round trip.
func (c *Case) Store(ctx context.Context) error {
	b := new(queue)
	if err := c.Queue(ctx, b); err != nil {
		return err
	}
	if err := b.send(ctx, c.tx); err != nil {
		return fmt.Errorf("change clocks: %w", err)
	}
	return nil
}
