package audit

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// Broken names the first record at which [Verify] found the trail altered.
type Broken struct {
	// Position in the chain; 0 for a record that stands in no link.
	Position int64
	// AuditID of the record; zero where the link itself is missing.
	AuditID uuid.UUID
	// Problem in a few words.
	Problem string
}

// Error names position, record and problem.
func (b *Broken) Error() string {
	return fmt.Sprintf("audit chain broken at position %d, record %s: %s", b.Position, b.AuditID, b.Problem)
}

// verifyPage bounds one statement, so that a long chain never meets the statement timeout.
const verifyPage = 2000

const readLinks = `
SELECT c.position, c.audit_id, c.previous, c.hash,
  r.id IS NOT NULL, coalesce(r.time, 'epoch'), coalesce(r.actor, ''), coalesce(r.actor_kind, 0), coalesce(r.action, ''),
  coalesce(r.object_type, ''), coalesce(r.object_id, c.audit_id), coalesce(r.access_right, ''), r.changes_hash,
  coalesce(r.request_id, ''), r.cause_event_id, r.mac
FROM audit_chain AS c LEFT JOIN audit_records AS r ON r.id = c.audit_id
WHERE c.position > $1 ORDER BY c.position LIMIT $2`

// readStray finds a record that is neither linked nor waits for its link.
const readStray = `
SELECT r.id FROM audit_records AS r
WHERE r.id > $1
  AND NOT EXISTS (SELECT FROM audit_chain AS c WHERE c.audit_id = r.id)
  AND NOT EXISTS (SELECT FROM audit_pending AS p WHERE p.audit_id = r.id)
  AND r.id <= $2
ORDER BY r.id LIMIT 1`

// Verify walks the whole chain in order, then the records outside it, and returns how
// many linked records are good. A record that was edited, forged, deleted, put in
// another's place or never queued for a link is a *[Broken] which names the first; any
// other error means that the walk could not be finished. It reads page by page and holds
// no lock, so it may run beside the service.
func Verify(ctx context.Context, db pg.DBTX, key []byte) (n int64, err error) {
	var previous []byte
	for {
		rows, err := db.Query(ctx, readLinks, n, verifyPage)
		if err != nil {
			return n, fmt.Errorf("read audit chain: %w", err)
		}
		links, err := pgx.CollectRows(rows, scanLink)
		if err != nil {
			return n, fmt.Errorf("read audit chain: %w", err)
		}
		for _, l := range links {
			if err := l.check(key, n+1, previous); err != nil {
				return n, err
			}
			n, previous = l.position, l.hash
		}
		if len(links) < verifyPage {
			break
		}
	}
	return n, verifyStrays(ctx, db)
}

type linked struct {
	record
	position       int64
	auditID        uuid.UUID
	previous, hash []byte
	found          bool
	storedMAC      []byte
}

func scanLink(row pgx.CollectableRow) (l linked, err error) {
	err = row.Scan(&l.position, &l.auditID, &l.previous, &l.hash, &l.found, &l.time, &l.actor, &l.actorKind, &l.action,
		&l.objectType, &l.objectID, &l.right, &l.changes, &l.requestID, &l.cause, &l.storedMAC)
	l.id = l.auditID
	return l, err
}

func (l *linked) check(key []byte, position int64, previous []byte) error {
	broken := func(problem string) error {
		return &Broken{Position: l.position, AuditID: l.auditID, Problem: problem}
	}
	switch {
	case l.position != position:
		return &Broken{Position: position, Problem: "the link is missing"}
	case !hmac.Equal(l.previous, previous):
		return broken("the link does not continue the one before it")
	case !l.found:
		return broken("the record was deleted")
	case !hmac.Equal(l.storedMAC, l.mac(key)):
		return broken("the record was edited or forged")
	case !hmac.Equal(l.hash, link(key, position, previous, l.auditID, l.storedMAC)):
		return broken("the link does not belong to this record at this position")
	}
	return nil
}

// verifyStrays goes through the records by id in windows, for the statement timeout.
func verifyStrays(ctx context.Context, db pg.DBTX) error {
	var after uuid.UUID
	for {
		var last uuid.UUID
		err := db.QueryRow(ctx, `SELECT id FROM audit_records WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2`,
			after, verifyPage-1).Scan(&last)
		whole := errors.Is(err, pgx.ErrNoRows)
		if whole {
			last, err = uuid.Max, nil
		}
		if err != nil {
			return fmt.Errorf("read audit records: %w", err)
		}
		var stray uuid.UUID
		err = db.QueryRow(ctx, readStray, after, last).Scan(&stray)
		if err == nil {
			return &Broken{AuditID: stray, Problem: "the record was never linked"}
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read audit records outside the chain: %w", err)
		}
		if whole {
			return nil
		}
		after = last
	}
}
