package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// Head is the last link of the chain: its position (0 for an empty chain) and its hash.
// Kept outside the database it shows later whether the chain was cut or rewritten.
func Head(ctx context.Context, db pg.DBTX) (position int64, hash []byte, err error) {
	err = db.QueryRow(ctx, `SELECT position, hash FROM audit_chain ORDER BY position DESC LIMIT 1`).Scan(&position, &hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read head of the audit chain: %w", err)
	}
	return position, hash, nil
}

// Records are found one by one, by their ids: a plan that a session made for the empty table
// of a new suite would read the whole of a table that grows.
const (
	takePending = `
SELECT p.audit_id, r.mac
FROM (SELECT audit_id FROM audit_pending ORDER BY audit_id LIMIT $1) AS p
CROSS JOIN LATERAL (SELECT mac FROM audit_records WHERE id = p.audit_id LIMIT 1) AS r`
	filing = `
WITH waiting AS (
  DELETE FROM audit_reads WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit_reads ORDER BY id LIMIT $1))
  RETURNING ` + columns + `
), filed AS (
  INSERT INTO audit_records (` + columns + `) SELECT ` + columns + ` FROM waiting
)`
	fileReads   = filing + `SELECT id, mac FROM waiting`
	fileForLink = filing + `INSERT INTO audit_pending (audit_id) SELECT id FROM waiting`
	insertLinks = `
INSERT INTO audit_chain (position, audit_id, previous, hash)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[])`
	enterSearch = `
INSERT INTO audit_search (position, audit_id, time, actor, action, object_id, customer_id, access_right, address)
SELECT l.position, r.id, r.time, r.actor, r.action, r.object_id, r.customer_id, r.access_right, r.address
FROM unnest($1::bigint[], $2::uuid[]) AS l (position, audit_id)
CROSS JOIN LATERAL (SELECT * FROM audit_records WHERE id = l.audit_id LIMIT 1) AS r`
	// What a replica of the release before has linked, which knew of no search.
	readUnentered = `
SELECT c.position, c.audit_id FROM audit_chain AS c
WHERE c.position > (SELECT coalesce(max(position), 0) FROM audit_search) AND c.position <= $1 ORDER BY c.position LIMIT $2`
	deletePending = `DELETE FROM audit_pending WHERE audit_id = ANY($1)`
)

// Link files the records of reads that wait and appends them and other committed records
// that wait to the chain, at most limit of either kind, and returns how many. Only one transaction at a time may link; a second one fails at the position's
// primary key and links nothing. A waiting id without a record is left: [Verify] does not
// need it, and a link to nothing would look like a deleted record.
func Link(ctx context.Context, tx pgx.Tx, key []byte, limit int) (int, error) {
	waiting, err := take(ctx, tx, limit)
	if err != nil || len(waiting) == 0 {
		return 0, err
	}
	position, previous, err := Head(ctx, tx)
	if err != nil {
		return 0, err
	}
	batch := new(pgx.Batch)
	if err := enterOthers(ctx, tx, batch, position, limit); err != nil {
		return 0, err
	}
	var positions []int64
	var ids []uuid.UUID
	var before, hashes [][]byte
	for _, w := range waiting {
		position++
		own := link(key, position, previous, w.ID, w.MAC)
		positions, ids = append(positions, position), append(ids, w.ID)
		before, hashes = append(before, notNil(previous)), append(hashes, own)
		previous = own
	}
	batch.Queue(insertLinks, positions, ids, before, hashes)
	batch.Queue(enterSearch, positions, ids)
	batch.Queue(deletePending, ids)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return 0, fmt.Errorf("link audit records: %w", err)
	}
	return len(ids), nil
}

// unlinked is a record without its link.
type unlinked struct {
	ID  uuid.UUID
	MAC []byte
}

// take files the reads that wait and returns them with the others that wait, by id.
func take(ctx context.Context, tx pgx.Tx, limit int) ([]unlinked, error) {
	var waiting []unlinked
	add := func(rows pgx.Rows) (err error) {
		waiting, err = pgx.AppendRows(waiting, rows, pgx.RowToStructByPos[unlinked])
		return err
	}
	batch := new(pgx.Batch)
	batch.Queue(takePending, limit).Query(add)
	batch.Queue(fileReads, limit).Query(add)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read audit records to link: %w", err)
	}
	slices.SortFunc(waiting, func(a, b unlinked) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return waiting, nil
}

// enterOthers queues the entries of links up to the head that have none.
func enterOthers(ctx context.Context, tx pgx.Tx, batch *pgx.Batch, head int64, limit int) error {
	rows, err := tx.Query(ctx, readUnentered, head, limit)
	if err != nil {
		return fmt.Errorf("read links without entry: %w", err)
	}
	others, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Position int64
		ID       uuid.UUID
	}])
	if err != nil {
		return fmt.Errorf("read links without entry: %w", err)
	}
	if len(others) == 0 {
		return nil
	}
	var positions []int64
	var ids []uuid.UUID
	for _, o := range others {
		positions, ids = append(positions, o.Position), append(ids, o.ID)
	}
	batch.Queue(enterSearch, positions, ids)
	return nil
}

// link is keyed, so that a chain cannot be made anew after a deletion without the key.
func link(key []byte, position int64, previous []byte, id uuid.UUID, mac []byte) []byte {
	b := make([]byte, 0, 128)
	b = part(b, []byte("link"))
	b = part(b, binary.BigEndian.AppendUint64(nil, uint64(position)))
	b = part(b, previous)
	b = part(b, id[:])
	b = part(b, mac)
	return keyedHash(key, b)
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
