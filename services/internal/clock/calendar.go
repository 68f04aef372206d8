package clock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Calendars gives calendars as they are now; *calendar.Cache does. One version stands for
// one definition for ever.
type Calendars interface {
	Load(ctx context.Context, db pg.DBTX, id string) (cal *worktime.Calendar, version int64, err error)
}

// maxKept bounds the calendars kept in memory; there are a few a year.
const maxKept = 64

type calendarKey struct{ id, version string }

// frozen holds calendars as clocks were computed with them, which never change.
type frozen struct {
	mu   sync.Mutex
	kept map[calendarKey]*worktime.Calendar
	// stored are the ones whose row is known to be committed.
	stored map[calendarKey]bool
}

func newFrozen() *frozen {
	return &frozen{kept: map[calendarKey]*worktime.Calendar{}, stored: map[calendarKey]bool{}}
}

func (f *frozen) get(key calendarKey) *worktime.Calendar {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept[key]
}

func (f *frozen) keep(key calendarKey, cal *worktime.Calendar) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) >= maxKept {
		clear(f.kept)
	}
	f.kept[key] = cal
}

func (f *frozen) isStored(key calendarKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[key]
}

// unknown says whether a calendar was used that is not known to be stored.
func (f *frozen) unknown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.kept {
		if !f.stored[key] {
			return true
		}
	}
	return false
}

// present gives calendars as they are now, each read once.
type present struct {
	store *Store
	db    pg.DBTX
	seen  map[string]calendarKey
}

func (s *Store) present(db pg.DBTX) *present { return &present{s, db, map[string]calendarKey{}} }

func (p *present) get(ctx context.Context, id string) (*worktime.Calendar, string, error) {
	if key, ok := p.seen[id]; ok {
		if cal := p.store.frozen.get(key); cal != nil {
			return cal, key.version, nil
		}
	}
	cal, n, err := p.store.calendars.Load(ctx, p.db, id)
	if err != nil {
		return nil, "", fmt.Errorf("calendar %q: %w", id, err)
	}
	key := calendarKey{id, strconv.FormatInt(n, 10)}
	p.seen[id] = key
	if kept := p.store.frozen.get(key); kept != nil {
		return kept, key.version, nil
	}
	p.store.frozen.keep(key, cal)
	return cal, key.version, nil
}

// calendar gives a calendar in the version that a clock was computed with.
func (s *Store) calendar(ctx context.Context, q pg.DBTX, id, version string) (*worktime.Calendar, error) {
	key := calendarKey{id, version}
	if cal := s.frozen.get(key); cal != nil {
		return cal, nil
	}
	definition, err := s.q.GetCalendar(ctx, q, id, version)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("calendar %q has no version %q here", id, version)
	}
	if err != nil {
		return nil, fmt.Errorf("read a calendar: %w", err)
	}
	var d worktime.Definition
	if err := json.Unmarshal(definition, &d); err != nil {
		return nil, fmt.Errorf("calendar %q, version %q: %w", id, version, err)
	}
	cal, err := worktime.New(d)
	if err != nil {
		return nil, fmt.Errorf("calendar %q, version %q: %w", id, version, err)
	}
	s.frozen.keep(key, cal)
	return cal, nil
}

// freeze stores the calendar that terms were resolved with, unless that was done. It only
// ever writes, so it can be queued.
func (s *Store) freeze(ctx context.Context, q db.DBTX, t *Terms, cal *worktime.Calendar) error {
	if s.frozen.isStored(calendarKey{t.CalendarID, t.CalendarVersion}) {
		return nil
	}
	definition, err := json.Marshal(cal.Definition())
	if err != nil {
		return fmt.Errorf("encode a calendar: %w", err)
	}
	if err := s.q.InsertCalendar(ctx, q, t.CalendarID, t.CalendarVersion, definition); err != nil {
		return fmt.Errorf("store a calendar: %w", err)
	}
	return nil
}

// learn finds out which calendars are stored. A writer cannot know by itself: its
// transaction may still be rolled back.
func (s *Store) learn(ctx context.Context, q pg.DBTX) error {
	if !s.frozen.unknown() {
		return nil
	}
	rows, err := s.q.ListCalendarVersions(ctx, q)
	if err != nil {
		return fmt.Errorf("list calendars: %w", err)
	}
	s.frozen.mu.Lock()
	defer s.frozen.mu.Unlock()
	for _, row := range rows {
		s.frozen.stored[calendarKey{row.CalendarID, row.Version}] = true
	}
	return nil
}
