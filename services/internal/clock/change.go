package clock

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
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

// Pause pauses the selected clocks whose terms name the reason, and gives those it paused.
// A clock paused for that reason already stays as it is.
func (s *Store) Pause(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(h *held, _ *present) error {
		if !h.Terms.pausesFor(act.Reason) || h.Held(act.Reason) {
			return nil
		}
		return s.add(h, s.acted(ctx, EntryPaused, act))
	})
}

// Resume ends the pauses for the reason of the selected clocks, and gives the clocks that
// had one. Pauses for other reasons go on.
func (s *Store) Resume(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(h *held, _ *present) error {
		if !h.Held(act.Reason) {
			return nil
		}
		return s.add(h, s.acted(ctx, EntryResumed, act))
	})
}

// Stop ends the selected clocks, met or missed as of act.At, and gives them. A miss that no
// sweep found yet is recorded with the stop.
func (s *Store) Stop(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.end(ctx, tx, sel, EntryStopped, act)
}

// Cancel gives the selected clocks up. One that is past due at act.At is missed all the same.
func (s *Store) Cancel(ctx context.Context, tx *write.Tx, sel Select, act Act) ([]Clock, error) {
	return s.end(ctx, tx, sel, EntryCancelled, act)
}

func (s *Store) end(ctx context.Context, tx *write.Tx, sel Select, t Type, act Act) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(h *held, _ *present) error {
		if !h.Open() {
			return nil
		}
		if at := instant(act.At); !h.Due.IsZero() && at.After(h.Due) && h.Phase != Missed {
			missed := s.entry(ctx, EntryMissed, latest(at, s.now()))
			missed.Scheduled = h.Due
			if err := s.add(h, missed); err != nil {
				return err
			}
		}
		return s.add(h, s.acted(ctx, t, act))
	})
}

// Retarget gives the selected clocks other terms from their original start, and gives the
// clocks that changed. terms gets each clock and answers with unresolved terms, or false to
// leave it as it is. A clock whose terms stay the same is left alone. A miss may be taken back; steps that fired do not fire again.
func (s *Store) Retarget(ctx context.Context, tx *write.Tx, sel Select, act Act,
	terms func(c *Clock) (Terms, bool, error)) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(h *held, present *present) error {
		if h.cancelled {
			return nil
		}
		t, ok, err := terms(&h.Clock)
		if err != nil || !ok || t.same(h.Terms) {
			return err
		}
		cal, version, err := present.get(ctx, t.CalendarID)
		if err != nil {
			return err
		}
		if t, err = t.Resolve(cal, version, h.State.Start); err != nil {
			return fmt.Errorf("retarget clock %s: %w", h.ID, err)
		}
		entry := s.acted(ctx, EntryRetargeted, act)
		entry.Terms = &t
		return s.retarget(h, entry, cal)
	})
}

// HandOver gives the selected clocks to another owner, and gives those that had another one.
func (s *Store) HandOver(ctx context.Context, tx *write.Tx, sel Select, act Act, to Owner) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(h *held, _ *present) error {
		if h.Owner == to || !h.Open() {
			return nil
		}
		entry := s.acted(ctx, EntryHandedOver, act)
		entry.Owner = &to
		return s.add(h, entry)
	})
}

// Extend sees to it that from act.At at least an amount of working time remains on the
// selected clocks; one that has more keeps it, one missed before stays missed.
func (s *Store) Extend(ctx context.Context, tx *write.Tx, sel Select, act Act, amount time.Duration) ([]Clock, error) {
	return s.change(ctx, tx, sel, func(h *held, _ *present) error {
		if !h.Open() || h.PhaseAt(act.At) == Missed {
			return nil
		}
		entry := s.acted(ctx, EntryExtended, act)
		entry.Amount = amount
		return s.add(h, entry)
	})
}

// Recall enters pauses, resumptions and extensions gone by into the selected clocks, in the
// order given.
func (s *Store) Recall(ctx context.Context, tx *write.Tx, sel Select, gone []Entry) error {
	for _, e := range gone {
		act := Act{At: e.At, Reason: e.Reason}
		var err error
		switch e.Type {
		case EntryPaused:
			_, err = s.Pause(ctx, tx, sel, act)
		case EntryResumed:
			_, err = s.Resume(ctx, tx, sel, act)
		case EntryExtended:
			_, err = s.Extend(ctx, tx, sel, act, e.Amount)
		default:
			err = fmt.Errorf("recall %v", e.Type)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) acted(ctx context.Context, t Type, act Act) Entry {
	e := s.entry(ctx, t, act.At)
	e.Reason = act.Reason
	return e
}

// change locks clocks, brings them up to the present version of their calendars, lets fn
// add entries, and stores what was added. It gives the clocks that fn changed.
func (s *Store) change(ctx context.Context, tx *write.Tx, sel Select, fn func(h *held, present *present) error) ([]Clock, error) {
	kinds := sel.Kinds
	if kinds == nil {
		kinds = []string{}
	}
	rows, err := s.q.HoldClocks(ctx, tx, db.HoldClocksParams{
		SubjectID: sel.Subject, Kinds: kinds, Round: sel.Round, Ended: sel.Ended,
	})
	if err != nil {
		return nil, fmt.Errorf("hold clocks: %w", err)
	}
	clocks, err := s.read(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	b, present := new(queue), s.present(tx)
	var changed []Clock
	for _, h := range clocks {
		if by := instant(sel.StartedBy); !sel.StartedBy.IsZero() && h.State.Start.After(by) {
			continue
		}
		before := h.checked
		if err := s.follow(ctx, present, h); err != nil {
			return nil, err
		}
		n := h.added
		if err := fn(h, present); err != nil {
			return nil, err
		}
		if h.added > n {
			changed = append(changed, h.Clock)
		}
		if h.added > 0 || h.checked != before {
			if err := s.save(ctx, b, h); err != nil {
				return nil, err
			}
			h.tell(tx)
		}
	}
	if err := b.send(ctx, tx); err != nil {
		return nil, fmt.Errorf("change clocks: %w", err)
	}
	return changed, nil
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

// save writes the entries that were added, and the cache.
func (s *Store) save(ctx context.Context, b *queue, h *held) error {
	to := execOnly{b}
	for i := len(h.log) - h.added; i < len(h.log); i++ {
		e := &h.log[i]
		if e.Terms != nil {
			if err := s.freeze(ctx, to, e.Terms, h.entered[0]); err != nil {
				return err
			}
			h.entered = h.entered[1:]
		}
		if err := s.insertEntry(ctx, to, h.ID, e); err != nil {
			return err
		}
	}
	return s.updateClock(ctx, to, &h.Clock, h.checked)
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
