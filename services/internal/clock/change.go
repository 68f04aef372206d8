package clock

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Select names clocks of one case: open ones, of the kinds and the round given.
type Select struct {
	Subject uuid.UUID
	// Kinds; none is all.
	Kinds []string
	// Round; 0 is every round.
	Round int32
	// Ended takes in clocks that were stopped, which [Store.Retarget] alone can change.
	Ended bool
	// StartedBy leaves out clocks that started after it; zero leaves out none.
	StartedBy time.Time
}

// Act says what happened when and why.
type Act struct {
	At time.Time
	// Reason is a slug.
	Reason string
}

// change lets one change happen to clocks of a case and stores it in one round trip more.
func (s *Store) change(ctx context.Context, tx *write.Tx, sel Select, fn func(c *Case) ([]Clock, error)) ([]Clock, error) {
	c, err := s.Hold(ctx, tx, sel)
	if err != nil {
		return nil, err
	}
	changed, err := fn(c)
	if err != nil {
		return nil, err
	}
	return changed, c.Store(ctx)
}

// Pause pauses the selected clocks whose terms name the reason, and gives those it paused.
// A clock paused for that reason already stays as it is.
func (s *Store) Pause(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.Pause(ctx, sel, act) })
}

// Resume ends the pauses for the reason of the selected clocks, and gives the clocks that
// had one. Pauses for other reasons go on.
func (s *Store) Resume(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.Resume(ctx, sel, act) })
}

// Stop ends the selected clocks, met or missed as of act.At, and gives them. A miss that no
// sweep found yet is recorded with the stop.
func (s *Store) Stop(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.Stop(ctx, sel, act) })
}

// Cancel gives the selected clocks up. One that is past due at act.At is missed all the same.
func (s *Store) Cancel(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.Cancel(ctx, sel, act) })
}

// Retarget gives the selected clocks other terms from their original start, and gives the
// clocks that changed. terms gets each clock and answers with unresolved terms, or false to
// leave it as it is. A clock whose terms stay the same is left alone. A miss may be taken back; steps that fired do not fire again.
func (s *Store) Retarget(ctx context.Context, tx *write.Tx, sel Select, act Act,
	terms func(c *Clock) (Terms, bool, error)) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.Retarget(ctx, sel, act, terms) })
}

// HandOver gives the selected clocks to another owner, and gives those that had another one.
func (s *Store) HandOver(ctx context.Context, tx *write.Tx, sel Select, act Act, to Owner) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.HandOver(ctx, sel, act, to) })
}

// Extend sees to it that from act.At at least an amount of working time remains on the
// selected clocks; one that has more keeps it, one missed before stays missed.
func (s *Store) Extend(ctx context.Context, tx *write.Tx, sel Select, act Act, amount time.Duration) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return c.Extend(ctx, sel, act, amount) })
}

// Recall enters pauses, resumptions and extensions gone by into the selected clocks, in the
// order given.
func (s *Store) Recall(ctx context.Context, tx *write.Tx, sel Select, gone []Entry) error {
	_, err := s.change(ctx, tx, sel, func(c *Case) ([]Clock, error) { return nil, c.Recall(ctx, sel, gone) })
	return err
}

func (s *Store) acted(ctx context.Context, t Type, act Act) Entry {
	e := s.entry(ctx, t, act.At)
	e.Reason = act.Reason
	return e
}

// add appends an entry, folds anew and says so in an event where the world should know.
func (s *Store) add(h *held, e Entry) error {
	before := h.State
	e.Position = h.Position + 1
	h.log = append(h.log, e)
	h.added++
	state, err := Fold(h.log, h.cal)
	if err != nil {
		return fmt.Errorf("clock %s: %w", h.ID, err)
	}
	h.State = state
	h.note(&before, &e)
	return nil
}

// retarget is add for an entry with terms, which were resolved with cal.
func (s *Store) retarget(h *held, e Entry, cal *worktime.Calendar) error {
	h.cal, h.checked = cal, e.Terms.CalendarVersion
	h.entered = append(h.entered, cal)
	return s.add(h, e)
}

// follow brings an open clock up to the present version of its calendar. Where that makes
// a difference the log says so with a retarget; else the row alone remembers the check.
func (s *Store) follow(ctx context.Context, present *present, h *held) error {
	if !h.Open() {
		return nil
	}
	cal, version, err := present.get(ctx, h.Terms.CalendarID)
	if err != nil || version == h.checked {
		return err
	}
	h.checked = version
	terms, err := h.Terms.Resolve(cal, version, h.State.Start)
	if err != nil {
		return fmt.Errorf("clock %s: %w", h.ID, err)
	}
	entry := s.entry(ctx, EntryRetargeted, s.now())
	entry.Position, entry.Reason, entry.Terms = h.Position+1, ReasonCalendarChanged, &terms
	as, err := Fold(append(h.log[:len(h.log):len(h.log)], entry), cal)
	if err != nil {
		return fmt.Errorf("clock %s: %w", h.ID, err)
	}
	// While paused its future is open: what it will be measured with must be the present.
	if h.Phase != Paused && as.Target == h.Target && as.Due.Equal(h.Due) && as.Next().Equal(h.Next()) {
		return nil
	}
	return s.retarget(h, entry, cal)
}
