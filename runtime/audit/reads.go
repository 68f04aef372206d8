package audit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	// holdFor is how long a record of a read is held before it is looked for among those that are
	// filed: two passes of the sequencer.
	holdFor = time.Second
	// fileAfter is how long the sequencer is left to file it. While nobody leads, the service that
	// holds it files all that waits.
	fileAfter = 3 * time.Second
	// mostHeld bounds the records held. The oldest are let go.
	mostHeld = 20_000
	// mostAsked bounds one statement.
	mostAsked = 1000
)

var (
	insertRead = pg.NewInsert(`
INSERT INTO audit_reads (` + columns + `)
SELECT $1::uuid, $2::timestamptz, $3::text, $4::smallint, $5::text, $6::text, $7::uuid,
  $8::text, $9::bytea, $10::text, $11::uuid, $12::bytea, $13::uuid, $14::inet`)
	insertReads = pg.NewInsert(`
INSERT INTO audit_reads (` + columns + `)
SELECT * FROM ` + fromLists)
)

const (
	// Records are found one by one, as those of a pass are.
	findUnfiled = `
SELECT h.id FROM unnest($1::uuid[]) AS h (id)
LEFT JOIN LATERAL (SELECT id FROM audit_records WHERE id = h.id LIMIT 1) AS r ON true
WHERE r.id IS NULL`
	insertLost = `
INSERT INTO audit_reads (` + columns + `)
SELECT rows.* FROM ` + fromLists + ` AS rows (` + columns + `)
WHERE NOT EXISTS (SELECT FROM audit_reads AS w WHERE w.id = rows.id)
  AND NOT EXISTS (SELECT FROM audit_records AS r WHERE r.id = rows.id)`
)

// Reads keeps the records of what is only read. Such a record travels in the statement that
// reads and is committed before the answer leaves, in a table that does not go through the
// log of the database: waiting for the disk would cost more than all else that protects a
// read. The sequencer's pass files it, on disk, and until then Reads holds it and enters again
// what a crash of the database takes away. So a record is lost only when the database and the
// service both crash before it is filed: within half a second of the read, within fileAfter
// and a pass while nobody leads. Reads is safe for concurrent use.
type Reads struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	key  []byte

	mu   sync.Mutex
	held []held // the oldest first
}

type held struct {
	*record
	since time.Time
}

// NewReads keeps records in the database of the pool, under the keyring's key derived with
// [KeyLabel]. [Reads.Run] must run beside.
func NewReads(pool *pgxpool.Pool, log *slog.Logger, key []byte) *Reads {
	return &Reads{pool: pool, log: log, key: key}
}

// Reading is a read of which records are kept: what it reads with first takes them along. Its
// answer must not leave before Done has returned nil. It is not safe for concurrent use.
type Reading struct {
	*pg.Along
	reads   *Reads
	records []*record
	err     error
}

// Begin makes a reading that leaves a record of each act. What is wrong with an act, Done
// tells.
func (r *Reads) Begin(ctx context.Context, acts ...Act) *Reading {
	out := &Reading{reads: r}
	out.records, out.err = newRecords(r.key, acts)
	switch len(out.records) {
	case 0:
		out.Along = pg.NewAlong(r.pool, pg.Insert{}, nil)
	case 1: // lists cost Postgres more than the record
		out.Along = pg.NewAlong(r.pool, insertRead, out.records[0].values(r.key))
	default:
		out.Along = pg.NewAlong(r.pool, insertReads, lists(r.key, out.records))
	}
	return out
}

// Done returns nil once the records are committed.
func (r *Reading) Done(ctx context.Context) error {
	if r.err != nil {
		return r.err
	}
	if err := r.Along.Done(ctx); err != nil {
		return fmt.Errorf("record what was read: %w", err)
	}
	r.reads.hold(r.records)
	return nil
}

func (r *Reads) hold(records []*record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range records {
		r.held = append(r.held, held{one, time.Now()})
	}
	if over := len(r.held) - mostHeld; over > 0 {
		r.held = r.held[over:]
	}
}

// Run lets go what is filed, enters what was lost again and files what waits for long, until
// ctx ends.
func (r *Reads) Run(ctx context.Context) error {
	tick := time.NewTicker(holdFor)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.settle(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "records of reads are held until the database answers", "error", pg.Describe(err))
		}
	}
}

// settle looks for what has been held for long enough among the records that are filed. What is
// not there goes on being held.
func (r *Reads) settle(ctx context.Context, now time.Time) (err error) {
	ripe := r.take(now.Add(-holdFor))
	var left []held
	for len(ripe) > 0 && err == nil {
		some := ripe[:min(len(ripe), mostAsked)]
		var waiting []held
		if waiting, err = r.unfiled(ctx, some); err == nil && len(waiting) > 0 {
			err = r.enterLost(ctx, waiting)
		}
		if err == nil {
			left, ripe = append(left, waiting...), ripe[len(some):]
		}
	}
	if err == nil && len(left) > 0 && left[0].since.Before(now.Add(-fileAfter)) {
		err = r.file(ctx)
	}
	r.giveBack(append(left, ripe...))
	return err
}

// file files all that waits, for the next pass to link.
func (r *Reads) file(ctx context.Context) error {
	for {
		tag, err := r.pool.Exec(ctx, fileForLink, mostAsked)
		if err != nil {
			return fmt.Errorf("file records of reads: %w", err)
		}
		if tag.RowsAffected() < mostAsked {
			return nil
		}
	}
}

// take takes what is held since before a time.
func (r *Reads) take(before time.Time) []held {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.held) && r.held[n].since.Before(before) {
		n++
	}
	ripe := r.held[:n:n]
	r.held = r.held[n:]
	return ripe
}

func (r *Reads) giveBack(some []held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(some, r.held...)
}

func (r *Reads) unfiled(ctx context.Context, some []held) ([]held, error) {
	ids := make([]uuid.UUID, len(some))
	of := make(map[uuid.UUID]held, len(some))
	for i, h := range some {
		ids[i], of[h.id] = h.id, h
	}
	rows, err := r.pool.Query(ctx, findUnfiled, ids)
	if err != nil {
		return nil, fmt.Errorf("look for filed reads: %w", err)
	}
	var left []held
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { left = append(left, of[id]); return nil }); err != nil {
		return nil, fmt.Errorf("look for filed reads: %w", err)
	}
	return left, nil
}

// enterLost enters those that neither wait nor are filed.
func (r *Reads) enterLost(ctx context.Context, some []held) error {
	records := make([]*record, len(some))
	for i, h := range some {
		records[i] = h.record
	}
	tag, err := r.pool.Exec(ctx, insertLost, lists(r.key, records)...)
	if err != nil {
		return fmt.Errorf("enter lost records of reads: %w", err)
	}
	if n := tag.RowsAffected(); n > 0 {
		r.log.WarnContext(ctx, "records of reads that the database lost in a crash are entered again", "records", n)
	}
	return nil
}
