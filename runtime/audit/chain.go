package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

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
CROSS JOIN LATERAL (SELECT mac FROM audit_records WHERE id = p.audit_id LIMIT 1) AS r
ORDER BY p.audit_id`
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

// Link appends at most limit committed records that wait to the chain and returns how
// many. Only one transaction at a time may link; a second one fails at the position's
// primary key and links nothing. A waiting id without a record is left: [Verify] does not
// need it, and a link to nothing would look like a deleted record.
func Link(ctx context.Context, tx pgx.Tx, key []byte, limit int) (int, error) {
	rows, err := tx.Query(ctx, takePending, limit)
	if err != nil {
		return 0, fmt.Errorf("read audit records to link: %w", err)
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		ID  uuid.UUID
		MAC []byte
	}])
	if err != nil {
		return 0, fmt.Errorf("read audit records to link: %w", err)
	}
	if len(waiting) == 0 {
		return 0, nil
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
	h := hmac.New(sha256.New, key)
	part(h, []byte("link"))
	part(h, binary.BigEndian.AppendUint64(nil, uint64(position)))
	part(h, previous)
	part(h, id[:])
	part(h, mac)
	return h.Sum(nil)
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
