package clock

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
)

const (
	// batchSize clocks are swept in one transaction.
	batchSize = 500
	// sweepEvery is how often an idle sweep looks.
	sweepEvery = time.Second
	// deferral keeps a clock that cannot be computed from being tried on every sweep.
	deferral = 5 * time.Minute
)

// Sweeper fires what is due: warnings, escalations and misses, each once, in order, with an
// event and an audit record each. Any number of them may run on one database. What came due
// while none ran fires on return, with how late that is in its entry and event.
type Sweeper struct {
	store *Store
	pool  *pgxpool.Pool
	path  *write.Path
	log   *slog.Logger
}

// NewSweeper makes a Sweeper over the clocks of store.
func NewSweeper(store *Store, pool *pgxpool.Pool, path *write.Path, log *slog.Logger) *Sweeper {
	return &Sweeper{store, pool, path, log}
}

// Swept counts what a sweep did.
type Swept struct {
	// Fired steps and misses.
	Fired int
	// Moved clocks whose calendar changed under them.
	Moved int
}

// Run sweeps until ctx ends. It logs what fails and goes on.
func (w *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if _, err := w.Sweep(ctx); err != nil && ctx.Err() == nil {
			w.log.ErrorContext(ctx, "sweep of clocks", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep first moves open clocks whose calendar has a new version, then fires all that is
// due now. A clock that another transaction holds is left for the next sweep. With nothing
// to do it reads a few pages, whatever the number of clocks.
func (w *Sweeper) Sweep(ctx context.Context) (Swept, error) {
	var done Swept
	if err := w.store.learn(ctx, w.pool); err != nil {
		return done, err
	}
	moved, err := w.follow(ctx)
	done.Moved = moved
	if err != nil {
		return done, err
	}
	for {
		due, err := w.store.q.AnyDue(ctx, w.pool, w.store.now())
		if err != nil {
			return done, fmt.Errorf("look for due clocks: %w", err)
		}
		if !due {
			return done, nil
		}
		held, fired := 0, 0
		err = write.Job(ctx, w.path, "clock-sweep", func(ctx context.Context, tx *write.Tx) error {
			var err error
			held, fired, err = w.batch(ctx, tx)
			return err
		})
		done.Fired += fired
		if err != nil {
			return done, fmt.Errorf("fire due clocks: %w", err)
		}
		if held < batchSize {
			return done, nil
		}
	}
}

// batch fires what is due on one batch of clocks.
func (w *Sweeper) batch(ctx context.Context, tx *write.Tx) (held, fired int, err error) {
	now := instant(w.store.now())
	rows, err := w.store.q.HoldDue(ctx, tx, now, batchSize)
	if err != nil {
		return 0, 0, fmt.Errorf("hold due clocks: %w", err)
	}
	clocks, err := w.store.load(ctx, tx, rows)
	if err != nil {
		return 0, 0, err
	}
	out := flush{store: w.store, rest: writing{store: w.store}, by: w.store.entry(ctx, EntryMissed, now)}
	present := w.store.present(tx)
	for _, h := range clocks {
		n, err := w.fire(ctx, present, h, now)
		if err != nil {
			w.log.ErrorContext(ctx, "clock cannot be computed", "clock", h.ID, "error", err)
			err = w.store.q.DeferClock(ctx, execOnly{&out.queue}, now.Add(deferral), h.ID)
		} else {
			fired += n
			err = out.add(ctx, tx, h)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return len(rows), fired, out.send(ctx, tx)
}

// fire adds what is due to the log of a clock.
func (w *Sweeper) fire(ctx context.Context, present *present, h *held, now time.Time) (fired int, err error) {
	if h.broken != nil {
		return 0, h.broken
	}
	if err := w.store.follow(ctx, present, h); err != nil {
		return 0, err
	}
	for ; len(h.Pending) > 0 && !h.Pending[0].At.After(now); fired++ {
		if err := w.store.add(h, w.store.firing(ctx, h, h.Pending[0], now)); err != nil {
			return fired, err
		}
	}
	return fired, nil
}

// firing makes the entry of a step or the miss. What became due only by a late change of
// the log is late since that change.
func (s *Store) firing(ctx context.Context, h *held, f Firing, now time.Time) Entry {
	e := s.entry(ctx, EntryMissed, now)
	e.Scheduled = latest(f.At, h.moved)
	switch {
	case f.Step == "":
		e.Scheduled = latest(h.Due, h.moved)
		return e
	case f.Escalate:
		e.Type = EntryEscalated
	default:
		e.Type = EntryWarned
	}
	e.Step, e.Role = f.Step, f.Role
	if f.Role == RoleOwner {
		e.Role = h.Owner.Role
	}
	return e
}

// follow moves the open clocks whose calendar has a new version.
func (w *Sweeper) follow(ctx context.Context) (moved int, err error) {
	used, err := w.store.q.ListCalendarsInUse(ctx, w.pool)
	if err != nil {
		return 0, fmt.Errorf("list calendars in use: %w", err)
	}
	for _, u := range used {
		_, version, err := w.store.present(w.pool).get(ctx, u.CalendarID)
		if err != nil {
			w.log.ErrorContext(ctx, "calendar of open clocks", "calendar", u.CalendarID, "error", err)
			continue
		}
		if version == u.CalendarVersion {
			continue
		}
		for n := batchSize; n == batchSize; {
			err := write.Job(ctx, w.path, "clock-calendars", func(ctx context.Context, tx *write.Tx) error {
				var err error
				var m int
				n, m, err = w.followBatch(ctx, tx, calendarKey{u.CalendarID, u.CalendarVersion}, version)
				moved += m
				return err
			})
			if err != nil {
				return moved, fmt.Errorf("follow calendar %q: %w", u.CalendarID, err)
			}
		}
	}
	return moved, nil
}

func (w *Sweeper) followBatch(ctx context.Context, tx *write.Tx, of calendarKey, version string) (n, moved int, err error) {
	rows, err := w.store.q.HoldOutdated(ctx, tx, of.id, of.version, batchSize)
	if err != nil {
		return 0, 0, fmt.Errorf("hold clocks of a calendar: %w", err)
	}
	clocks, err := w.store.load(ctx, tx, rows)
	if err != nil {
		return 0, 0, err
	}
	out, present := flush{store: w.store, rest: writing{store: w.store}}, w.store.present(tx)
	checked := make([]uuid.UUID, 0, len(clocks))
	for _, h := range clocks {
		err := h.broken
		if err == nil {
			err = w.store.follow(ctx, present, h)
		}
		switch {
		case err != nil:
			w.log.ErrorContext(ctx, "clock cannot follow its calendar", "clock", h.ID, "calendar", of.id, "error", err)
			fallthrough
		case h.added == 0:
			checked = append(checked, h.ID)
			continue
		}
		moved++
		if err := out.add(ctx, tx, h); err != nil {
			return 0, 0, err
		}
	}
	if err := w.store.q.CheckClocks(ctx, execOnly{&out.queue}, version, checked); err != nil {
		return 0, 0, err
	}
	return len(rows), moved, out.send(ctx, tx)
}

// flush stores clocks that fired or moved, all in one round trip.
type flush struct {
	store *Store
	queue queue
	by    Entry
	// Bulk arrays of clocks that only fired, which are nearly all.
	entries db.InsertEntriesParams
	clocks  db.UpdateFiredParams
	rest    writing // the others
	audited bool
}

func (f *flush) add(ctx context.Context, tx *write.Tx, h *held) error {
	if h.added > 0 {
		h.tell(tx)
		types := make([]string, 0, h.added)
		for _, e := range h.log[len(h.log)-h.added:] {
			types = append(types, e.Type.String())
		}
		tx.Audit("clock", h.ID, map[string]any{"position": h.Position, "entries": types})
		f.audited = true
	}
	if len(h.entered) > 0 || h.added == 0 {
		return f.rest.add(ctx, execOnly{&f.queue}, h)
	}
	for _, e := range h.log[len(h.log)-h.added:] {
		f.entries.ClockIds = append(f.entries.ClockIds, h.ID)
		f.entries.Positions = append(f.entries.Positions, e.Position)
		f.entries.Types = append(f.entries.Types, int16(e.Type))
		f.entries.Steps = append(f.entries.Steps, e.Step)
		f.entries.Roles = append(f.entries.Roles, e.Role)
		f.entries.ScheduledTimes = append(f.entries.ScheduledTimes, e.Scheduled)
	}
	next := h.Next()
	if next.IsZero() {
		next = time.Unix(0, 0) // stands for none: arrays of times have no null
	}
	f.clocks.Ids = append(f.clocks.Ids, h.ID)
	f.clocks.States = append(f.clocks.States, int16(h.Phase))
	f.clocks.NextStepTimes = append(f.clocks.NextStepTimes, next)
	f.clocks.Versions = append(f.clocks.Versions, h.Position)
	f.clocks.CalendarVersions = append(f.clocks.CalendarVersions, h.checked)
	return nil
}

func (f *flush) send(ctx context.Context, tx *write.Tx) error {
	if !f.audited {
		tx.Unchanged()
	}
	if len(f.clocks.Ids) > 0 {
		to := execOnly{&f.queue}
		f.entries.OccurTime, f.entries.RecordTime = f.by.At, f.by.RecordTime
		f.entries.Actor, f.entries.ActorKind = f.by.Actor, int16(f.by.ActorKind)
		if err := f.store.q.InsertEntries(ctx, to, f.entries); err != nil {
			return err
		}
		if err := f.store.q.UpdateFired(ctx, to, f.clocks); err != nil {
			return err
		}
	}
	if err := f.rest.send(ctx, execOnly{&f.queue}); err != nil {
		return err
	}
	if err := f.queue.send(ctx, tx); err != nil {
		return fmt.Errorf("store clocks: %w", err)
	}
	return nil
}
