package clock

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock/db"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the tables of clocks; apply it before the service's own.
func Migrations() pg.MigrationSet { return pg.MigrationSet{Name: "clock", FS: migrations} }

var (
	// ErrNotFound says that there is no clock of that id.
	ErrNotFound = errors.New("there is no such clock")
	// ErrOpen says that the case has an open clock of that kind and round already.
	ErrOpen = errors.New("such a clock is open already")
)

// Store keeps clocks in the database of a service. It is safe for concurrent use.
type Store struct {
	q         *db.Queries
	calendars Calendars
	now       func() time.Time
	frozen    *frozen
}

// New makes a Store; now is the clock that record times come from.
func New(calendars Calendars, now func() time.Time) *Store {
	return &Store{q: db.New(), calendars: calendars, now: now, frozen: newFrozen()}
}

// Spec is a clock to start.
type Spec struct {
	Subject Subject
	Kind    string
	Round   int32
	// At is when its start event happened; the record time is the store's now.
	At    time.Time
	Owner Owner
	Terms Terms
	// Reason is a slug; empty where the event says all.
	Reason string
}

// Opening is a clock made ready to be stored.
type Opening struct {
	Clock Clock
	entry Entry
	cal   *worktime.Calendar
}

// held is the opening as a clock of a case, which is not stored yet.
func (o *Opening) held() *held {
	return &held{
		Clock: o.Clock, log: []Entry{o.entry}, added: 1, cal: o.cal, entered: []*worktime.Calendar{o.cal},
		checked: o.Clock.Terms.CalendarVersion, fresh: true,
	}
}

// Prepare resolves terms and makes clocks ready to be stored with [Store.Put]. It reads
// calendars at most, so it can run on a pool before a batch. It fails on terms that are
// refused; imported history must not come here.
func (s *Store) Prepare(ctx context.Context, q pg.DBTX, specs ...Spec) ([]Opening, error) {
	return s.prepare(ctx, s.present(q), specs)
}

func (s *Store) prepare(ctx context.Context, present *present, specs []Spec) ([]Opening, error) {
	out := make([]Opening, len(specs))
	for i, spec := range specs {
		cal, version, err := present.get(ctx, spec.Terms.CalendarID)
		if err != nil {
			return nil, err
		}
		at := instant(spec.At)
		terms, err := spec.Terms.Resolve(cal, version, at)
		if err != nil {
			return nil, fmt.Errorf("start clock %q: %w", spec.Kind, err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("clock id: %w", err)
		}
		entry := s.entry(ctx, EntryStarted, at)
		entry.Position, entry.Reason, entry.Terms, entry.Owner = 1, spec.Reason, &terms, &spec.Owner
		state, err := Fold([]Entry{entry}, cal)
		if err != nil {
			return nil, fmt.Errorf("start clock %q: %w", spec.Kind, err)
		}
		out[i] = Opening{
			Clock: Clock{ID: id, Subject: spec.Subject, Kind: spec.Kind, Round: spec.Round, State: state},
			entry: entry, cal: cal,
		}
	}
	return out, nil
}

// Execer is the part of a transaction or a batch that Put needs: *write.Tx and
// *write.BatchTx have it.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Put stores prepared clocks. It only writes, so it works on a batch too. A case that has an
// open clock of the kind and round violates clocks_subject_id_kind_round_key.
func (s *Store) Put(ctx context.Context, q Execer, openings ...Opening) error {
	to, w := execOnly{q}, writing{store: s}
	for i := range openings {
		if err := w.add(ctx, to, openings[i].held()); err != nil {
			return err
		}
	}
	return w.send(ctx, to)
}

// Start starts clocks in the caller's transaction, in one round trip. It fails with
// [ErrOpen] where a case has an open clock of the kind and round, and with what
// [Store.Prepare] fails with.
func (s *Store) Start(ctx context.Context, tx *write.Tx, specs ...Spec) ([]Clock, error) {
	openings, err := s.Prepare(ctx, tx, specs...)
	if err != nil {
		return nil, err
	}
	b := new(queue)
	if err := s.Put(ctx, b, openings...); err != nil {
		return nil, err
	}
	if err := b.send(ctx, tx); err != nil {
		if pg.Violates(err, "clocks_subject_id_kind_round_key") {
			return nil, ErrOpen
		}
		return nil, fmt.Errorf("start clocks: %w", err)
	}
	out := make([]Clock, len(openings))
	for i := range openings {
		out[i] = openings[i].Clock
	}
	return out, nil
}

// entry makes an entry by whoever acts.
func (s *Store) entry(ctx context.Context, t Type, at time.Time) Entry {
	who := authn.FromContext(ctx)
	return Entry{Type: t, At: instant(at), RecordTime: instant(s.now()), Actor: who.Actor(), ActorKind: who.ActorKind()}
}

// List gives all clocks of a case, oldest first, folded from their logs.
func (s *Store) List(ctx context.Context, q pg.DBTX, subject uuid.UUID) ([]Clock, error) {
	rows, err := s.q.ListClocks(ctx, q, subject)
	if err != nil {
		return nil, fmt.Errorf("list clocks: %w", err)
	}
	held, err := s.read(ctx, q, rows)
	if err != nil {
		return nil, err
	}
	out := make([]Clock, len(held))
	for i, h := range held {
		out[i] = h.Clock
	}
	return out, nil
}

// Get gives a clock and its log; [ErrNotFound] if there is none.
func (s *Store) Get(ctx context.Context, q pg.DBTX, id uuid.UUID) (Clock, []Entry, error) {
	row, err := s.q.GetClock(ctx, q, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Clock{}, nil, ErrNotFound
	}
	if err != nil {
		return Clock{}, nil, fmt.Errorf("read a clock: %w", err)
	}
	held, err := s.read(ctx, q, []db.Clock{row})
	if err != nil {
		return Clock{}, nil, err
	}
	return held[0].Clock, held[0].log, nil
}

// held is a clock with its log, and what is to be added to it.
type held struct {
	Clock
	log     []Entry
	added   int // entries of log that are not stored
	cal     *worktime.Calendar
	entered []*worktime.Calendar // those of the added entries with terms
	events  []event.Event
	checked string // calendar version the row was last checked against
	stored  string // what checked is in the row
	fresh   bool   // there is no row yet
	broken  error  // why it does not fold
}

// read folds rows from their logs. The first that does not fold fails it.
func (s *Store) read(ctx context.Context, q pg.DBTX, rows []db.Clock) ([]*held, error) {
	out, err := s.load(ctx, q, rows)
	if err != nil {
		return nil, err
	}
	return out, whole(out)
}

// whole fails with the first clock that does not fold.
func whole(clocks []*held) error {
	for _, h := range clocks {
		if h.broken != nil {
			return h.broken
		}
	}
	return nil
}

// load is read that leaves it to the caller what to do with a clock that does not fold.
func (s *Store) load(ctx context.Context, q pg.DBTX, rows []db.Clock) ([]*held, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	entries, err := s.q.ListEntries(ctx, q, ids)
	if err != nil {
		return nil, fmt.Errorf("read logs of clocks: %w", err)
	}
	return s.assemble(ctx, q, rows, entries), nil
}

// assemble folds rows from their logs, each entry of which belongs to one of them.
func (s *Store) assemble(ctx context.Context, q pg.DBTX, rows []db.Clock, entries []db.ClockLog) []*held {
	out := make([]*held, len(rows))
	at := make(map[uuid.UUID]*held, len(rows))
	for i, row := range rows {
		out[i] = &held{checked: row.CalendarVersion, stored: row.CalendarVersion, Clock: Clock{
			ID: row.ID, Subject: Subject{row.SubjectType, row.SubjectID}, Kind: row.Kind, Round: row.Round,
		}}
		at[row.ID] = out[i]
	}
	for i := range entries {
		h := at[entries[i].ClockID]
		e, err := entryOf(&entries[i])
		if err != nil {
			h.broken = errors.Join(h.broken, err)
		}
		h.log = append(h.log, e)
	}
	for _, h := range out {
		if h.broken == nil {
			h.broken = s.refold(ctx, q, h)
		}
	}
	return out
}

// refold makes the state of a clock anew, in the calendar that its last terms name.
func (s *Store) refold(ctx context.Context, q pg.DBTX, h *held) error {
	for i := len(h.log) - 1; i >= 0; i-- {
		t := h.log[i].Terms
		if t == nil {
			continue
		}
		cal, err := s.calendar(ctx, q, t.CalendarID, t.CalendarVersion)
		if err != nil {
			return fmt.Errorf("clock %s: %w", h.ID, err)
		}
		h.cal = cal
		break
	}
	state, err := Fold(h.log, h.cal)
	if err != nil {
		return fmt.Errorf("clock %s: %w", h.ID, err)
	}
	h.State = state
	return nil
}

// queue collects statements for one round trip.
type queue struct{ batch pgx.Batch }

// Exec queues a statement.
func (q *queue) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	q.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (q *queue) send(ctx context.Context, tx pgx.Tx) error {
	if q.batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &q.batch).Close()
}

var errWriteOnly = errors.New("a statement that reads was sent where only writing is possible")

// execOnly lets sqlc's :exec queries run on what can only write.
type execOnly struct{ Execer }

func (execOnly) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errWriteOnly }

func (execOnly) QueryRow(context.Context, string, ...any) pgx.Row { return failedRow{} }

type failedRow struct{}

func (failedRow) Scan(...any) error { return errWriteOnly }
