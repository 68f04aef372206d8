package audit

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"os"

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
  coalesce(r.request_id, ''), r.cause_event_id, r.mac, r.customer_id, r.address,
  (s.audit_id, s.time, s.actor, s.action, s.object_id, s.customer_id, s.access_right, s.address)
    IS NOT DISTINCT FROM (r.id, r.time, r.actor, r.action, r.object_id, r.customer_id, r.access_right, r.address)
  OR (s.position IS NULL AND c.position > (SELECT coalesce(max(position), 0) FROM audit_search))
FROM audit_chain AS c
LEFT JOIN audit_records AS r ON r.id = c.audit_id
LEFT JOIN audit_search AS s ON s.position = c.position
WHERE c.position > $1 ORDER BY c.position LIMIT $2`

// readStray finds a record that is neither linked nor waits for its link.
const readStray = `
SELECT r.id FROM audit_records AS r
WHERE r.id > $1
  AND NOT EXISTS (SELECT FROM audit_chain AS c WHERE c.audit_id = r.id)
  AND NOT EXISTS (SELECT FROM audit_pending AS p WHERE p.audit_id = r.id)
  AND r.id <= $2
ORDER BY r.id LIMIT 1`

// Verified is what a check has found good.
type Verified struct {
	// Records that are linked and unaltered.
	Records int64
	// Anchors that agree with the chain, and lines of their file that say nothing, such as
	// the half of one that a crash left.
	Anchors, Unreadable int64
}

// Verify walks the whole chain in order, then the records outside it, and returns how
// many linked records are good. A record that was edited, forged, deleted, put in
// another's place or never queued for a link is a *[Broken] which names the first; any
// other error means that the walk could not be finished. It reads page by page and holds
// no lock, so it may run beside the service.
func Verify(ctx context.Context, db pg.DBTX, key []byte) (int64, error) {
	return verify(ctx, db, key, nil)
}

// VerifyAnchored is Verify that also holds the chain against the anchors of a file, so that
// a chain whose end was cut off, or that was made anew by somebody who has the key, is
// *[Broken] too. It needs memory for one page of the chain and one line of the file.
func VerifyAnchored(ctx context.Context, db pg.DBTX, key []byte, file string) (v Verified, err error) {
	f, err := os.Open(file)
	if err != nil {
		return v, fmt.Errorf("open the anchors: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	a, err := newAnchors(f)
	if err != nil {
		return v, err
	}
	v.Records, err = verify(ctx, db, key, a)
	v.Anchors, v.Unreadable = a.anchored, a.unreadable
	return v, err
}

func verify(ctx context.Context, db pg.DBTX, key []byte, kept *anchors) (n int64, err error) {
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
		for i := range links {
			l := &links[i]
			if err := l.check(key, n+1, previous); err != nil {
				return n, err
			}
			if err := kept.pass(l); err != nil {
				return n, err
			}
			n, previous = l.position, l.hash
		}
		if len(links) < verifyPage {
			break
		}
	}
	if err := kept.end(n); err != nil {
		return n, err
	}
	return n, verifyStrays(ctx, db)
}

type linked struct {
	record
	position       int64
	auditID        uuid.UUID
	previous, hash []byte
	found, entered bool
	storedMAC      []byte
}

func scanLink(row pgx.CollectableRow) (l linked, err error) {
	err = row.Scan(&l.position, &l.auditID, &l.previous, &l.hash, &l.found, &l.time, &l.actor, &l.actorKind, &l.action,
		&l.objectType, &l.objectID, &l.right, &l.changes, &l.requestID, &l.cause, &l.storedMAC,
		&l.customer, &l.address, &l.entered)
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
	case !l.entered:
		return broken("its entry in the search of auditors was edited or deleted")
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
