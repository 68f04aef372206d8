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
	// holdFor is how long a record of a read is held before its link is looked for: two passes
	// of the sequencer.
	holdFor = time.Second
	// mostHeld bounds the records held while no links are made. The oldest are let go, which
	// have been on disk for long by then.
	mostHeld = 20_000
	// mostAsked bounds one statement.
	mostAsked = 1000
)

// A transaction of reads and their records does not wait for the disk. Set by a condition that costs
// next to nothing; by a statement of its own it would be a third of the record.
const (
	insertRead = `
INSERT INTO audit_reads (` + columns + `)
SELECT $1::uuid, $2::timestamptz, $3::text, $4::smallint, $5::text, $6::text, $7::uuid,
  $8::text, $9::bytea, $10::text, $11::uuid, $12::bytea, $13::uuid, $14::inet
WHERE set_config('synchronous_commit', 'off', true) IS NOT NULL`
	insertReads = `
INSERT INTO audit_reads (` + columns + `)
SELECT rows.* FROM set_config('synchronous_commit', 'off', true), ` + fromLists + ` AS rows`
	// Links are found one by one, as the records of a pass are.
	findUnlinked = `
SELECT h.id FROM unnest($1::uuid[]) AS h (id)
LEFT JOIN LATERAL (SELECT position FROM audit_chain WHERE audit_id = h.id LIMIT 1) AS c ON true
WHERE c.position IS NULL`
	insertLost = `
INSERT INTO audit_reads (` + columns + `)
SELECT rows.* FROM ` + fromLists + ` AS rows (` + columns + `)
WHERE NOT EXISTS (SELECT FROM audit_reads AS w WHERE w.id = rows.id)
  AND NOT EXISTS (SELECT FROM audit_records AS r WHERE r.id = rows.id)`
)

// Reads keeps the records of what is only read. Such a record travels with the reading and is
// committed before the answer leaves. It is not waited for until it is on disk, which would
// cost more than all else that protects a read, but held until it has its link in the chain,
// which is: what a crash of the database takes away before that is entered again. So a record
// is lost only when the database and the service both crash within the moment in which the
// database may keep a commit in memory, three times its wal_writer_delay (0.6 s), and the
// record was not linked yet. Reads is safe for concurrent use.
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
	b := new(pg.Batch)
	if out.records, out.err = newRecords(r.key, acts); out.err == nil {
		out.err = queueReads(ctx, b, r.key, out.records)
	}
	out.Along = pg.NewAlong(r.pool, b)
	return out
}

// queueReads queues the records. One alone does without the lists, which cost Postgres more
// than the record.
func queueReads(ctx context.Context, b *pg.Batch, key []byte, records []*record) (err error) {
	switch len(records) {
	case 0:
	case 1:
		_, err = b.Exec(ctx, insertRead, records[0].values(key)...)
	default:
		_, err = b.Exec(ctx, insertReads, lists(key, records)...)
	}
	return err
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

// Run lets go what is linked and enters what was lost again, until ctx ends.
func (r *Reads) Run(ctx context.Context) error {
	tick := time.NewTicker(holdFor)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.settle(ctx, time.Now().Add(-holdFor)); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "records of reads are held until the database answers", "error", pg.Describe(err))
		}
	}
}

// settle looks for the links of what is held since before a time. What has none yet goes on
// being held.
func (r *Reads) settle(ctx context.Context, before time.Time) (err error) {
	ripe := r.take(before)
	var left []held
	for len(ripe) > 0 && err == nil {
		some := ripe[:min(len(ripe), mostAsked)]
		var waiting []held
		if waiting, err = r.unlinked(ctx, some); err == nil && len(waiting) > 0 {
			err = r.enterLost(ctx, waiting)
		}
		if err == nil {
			left, ripe = append(left, waiting...), ripe[len(some):]
		}
	}
	r.giveBack(append(left, ripe...))
	return err
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

func (r *Reads) unlinked(ctx context.Context, some []held) ([]held, error) {
	ids := make([]uuid.UUID, len(some))
	of := make(map[uuid.UUID]held, len(some))
	for i, h := range some {
		ids[i], of[h.id] = h.id, h
	}
	rows, err := r.pool.Query(ctx, findUnlinked, ids)
	if err != nil {
		return nil, fmt.Errorf("look for the links of reads: %w", err)
	}
	var left []held
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { left = append(left, of[id]); return nil }); err != nil {
		return nil, fmt.Errorf("look for the links of reads: %w", err)
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
