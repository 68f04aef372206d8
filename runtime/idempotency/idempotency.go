// Package idempotency keeps the outcome of each committed mutation for a week, so that a
// caller who repeats a call with the same request id gets the first outcome and causes
// no second effect.
package idempotency

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// KeyLabel is the label under which the key of this package is derived from the keyring.
const KeyLabel = "idempotency"

// Retention is how long an outcome is kept.
const Retention = 7 * 24 * time.Hour

// lockTimeout is the SQLSTATE of a lock that was not had in time.
const lockTimeout = "55P03"

// primaryKey is the constraint that two transactions with one key meet at.
const primaryKey = "idempotency_outcomes_pkey"

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes idempotency_outcomes.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "idempotency", FS: migrations}
}

// Key names one call. Two callers may use the same request id without meeting.
type Key struct{ Caller, Method, RequestID string }

// lock is the key's place among the advisory locks of the database. Two keys that share
// one only wait for each other.
func (k Key) lock() int64 {
	sum := sha256.Sum256(k.encode())
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func (k Key) encode() []byte {
	var b []byte
	for _, s := range []string{k.Caller, k.Method, k.RequestID} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

// Outcome is what a committed call left: the resource with its version, where it has one,
// and the response.
type Outcome struct {
	BodyHash        []byte
	ResourceID      uuid.UUID
	ResourceVersion int64
	Response        []byte
	// Erased says that the response was about a person who was erased; it is empty.
	Erased bool
}

// Vault seals responses and hashes bodies. It is safe for concurrent use.
type Vault struct {
	key  []byte
	aead *subtle.AESGCM
}

// NewVault takes a key of 32 bytes and fails for any other length.
func NewVault(key []byte) (*Vault, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("idempotency key of %d bytes, need 32", len(key))
	}
	aead, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, fmt.Errorf("idempotency cipher: %w", err)
	}
	return &Vault{key: key, aead: aead}, nil
}

// HashBody is the keyed hash of a request without its request id: equal for equal bodies.
// The message is not changed.
func (v *Vault) HashBody(req proto.Message) ([]byte, error) {
	body := proto.Clone(req)
	m := body.ProtoReflect()
	if field := m.Descriptor().Fields().ByName("request_id"); field != nil && field.Kind() == protoreflect.StringKind {
		m.Clear(field)
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	h := hmac.New(sha256.New, v.key)
	h.Write([]byte("body\x00"))
	h.Write(encoded)
	return h.Sum(nil), nil
}

const (
	lockKey   = `SELECT pg_advisory_xact_lock($1)`
	tryKeys   = `SELECT pg_try_advisory_xact_lock(k.lock) FROM unnest($1::bigint[]) WITH ORDINALITY AS k (lock, nth) ORDER BY k.nth`
	findByKey = `
SELECT body_hash, resource_id, resource_version, response FROM idempotency_outcomes
WHERE request_id = $1 AND caller = $2 AND method = $3`
	findByKeys = `
SELECT k.nth, o.body_hash, o.resource_id, o.resource_version, o.response
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (request_id, caller, method, nth)
JOIN idempotency_outcomes o ON o.request_id = k.request_id AND o.caller = k.caller AND o.method = k.method`
)

var insertOutcome = pg.NewRows(`
INSERT INTO idempotency_outcomes (caller, method, request_id, body_hash, resource_id, resource_version, response, create_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`)

// ErrBusy says that another transaction worked on the key for longer than the lock timeout.
var ErrBusy = errors.New("another transaction works on this request id")

// Claim is what became of a request id that a transaction claims.
type Claim struct {
	// Outcome is nil where there is none; then the key belongs to the transaction until it ends,
	// unless it is busy.
	Outcome *Outcome
	// Busy says that another transaction works on the key. Only [Vault.QueueTries] tells it.
	Busy bool
}

// QueueClaim has b, as a transaction's first statements, wait until no other transaction works
// on the key and then look its outcome up into c. Sending b fails with [ErrBusy] when the lock
// is not had within the lock timeout.
//
// A lock, and not a second look after a conflict, because the caller's function must not
// run at all when the outcome is known: on the changed row it would give another answer.
func (v *Vault) QueueClaim(b *pgx.Batch, c *Claim, k Key) {
	*c = Claim{}
	b.Queue(lockKey, k.lock()).Fn = func(results pgx.BatchResults) error {
		_, err := results.Exec()
		switch {
		case err == nil:
			return nil
		case pg.Code(err) == lockTimeout:
			err = errors.Join(ErrBusy, err)
		}
		return fmt.Errorf("claim request id: %w", err)
	}
	b.Queue(findByKey, k.RequestID, k.Caller, k.Method).QueryRow(func(row pgx.Row) (err error) {
		c.Outcome, err = v.scan(row, k)
		return err
	})
}

// QueueTries is QueueClaim for the keys of many calls, all different: a key that another
// transaction works on is not waited for but told to be busy.
func (v *Vault) QueueTries(b *pgx.Batch, claims []*Claim, keys []Key) {
	locks := make([]int64, len(keys))
	var requests, callers, methods []string
	for i, k := range keys {
		*claims[i], locks[i] = Claim{}, k.lock()
		requests, callers, methods = append(requests, k.RequestID), append(callers, k.Caller), append(methods, k.Method)
	}
	b.Queue(tryKeys, locks).Query(func(rows pgx.Rows) error {
		had, err := pgx.CollectRows(rows, pgx.RowTo[bool])
		if err != nil {
			return fmt.Errorf("claim request ids: %w", err)
		}
		for i := range had {
			claims[i].Busy = !had[i]
		}
		return nil
	})
	b.Queue(findByKeys, requests, callers, methods).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			var nth int
			found := stored{}
			if err := rows.Scan(append([]any{&nth}, found.columns()...)...); err != nil {
				return fmt.Errorf("look request ids up: %w", err)
			}
			o, err := v.open(&found, keys[nth-1])
			if err != nil {
				return err
			}
			claims[nth-1].Outcome = o
		}
		return rows.Err()
	})
}

// Find looks the outcome of a key up without claiming it; nil when there is none.
func (v *Vault) Find(ctx context.Context, db pg.DBTX, k Key) (*Outcome, error) {
	return v.scan(db.QueryRow(ctx, findByKey, k.RequestID, k.Caller, k.Method), k)
}

func (v *Vault) scan(row pgx.Row, k Key) (*Outcome, error) {
	var found stored
	err := row.Scan(found.columns()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look request id up: %w", err)
	}
	return v.open(&found, k)
}

// stored is an outcome as it stands in its row.
type stored struct {
	hash    []byte
	id      *uuid.UUID
	version *int64
	sealed  []byte
}

func (s *stored) columns() []any { return []any{&s.hash, &s.id, &s.version, &s.sealed} }

func (v *Vault) open(s *stored, k Key) (*Outcome, error) {
	o := Outcome{BodyHash: s.hash, Erased: len(s.sealed) == 0}
	var err error
	if !o.Erased {
		if o.Response, err = v.aead.Decrypt(s.sealed, k.encode()); err != nil {
			return nil, fmt.Errorf("open stored response: %w", err)
		}
	}
	if s.id != nil {
		o.ResourceID = *s.id
	}
	if s.version != nil {
		o.ResourceVersion = *s.version
	}
	return &o, nil
}

// Execer is the part of a transaction or a batch that writing needs.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Insert keeps the outcome through db, which must be the transaction of the effect. When
// another transaction commits an outcome of the same key first, it fails with an error
// that [Taken] knows, and neither effect nor outcome of this one remain.
func (v *Vault) Insert(ctx context.Context, db Execer, k Key, o Outcome, now time.Time) error {
	sealed, err := v.aead.Encrypt(o.Response, k.encode())
	if err != nil {
		return fmt.Errorf("seal response: %w", err)
	}
	var id *uuid.UUID
	var version *int64
	if o.ResourceID != uuid.Nil {
		id = &o.ResourceID
	}
	if o.ResourceVersion != 0 {
		version = &o.ResourceVersion
	}
	if err := insertOutcome.Exec(ctx, db, []any{k.Caller, k.Method, k.RequestID, o.BodyHash, id, version, sealed, now}); err != nil {
		return fmt.Errorf("keep outcome: %w", err)
	}
	return nil
}

// Taken reports whether err says that the key already has an outcome.
func Taken(err error) bool { return pg.Violates(err, primaryKey) }

// purgeStep bounds one statement of Purge.
const purgeStep = 5000

// Purge removes the outcomes older than [Retention] in short steps. It may run in several
// replicas at once and stops at the first error; what it removed before stays removed.
func Purge(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	for {
		tag, err := pool.Exec(ctx, `
DELETE FROM idempotency_outcomes WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_outcomes WHERE create_time < $1 ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED))`,
			now.Add(-Retention), purgeStep)
		if err != nil {
			return fmt.Errorf("purge outcomes: %w", err)
		}
		if tag.RowsAffected() < purgeStep {
			return nil
		}
	}
}

// Erase empties the responses of the outcomes of these resources, in the caller's transaction:
// they repeat what was erased. A call with such a request id has no second effect and no
// answer any more.
func Erase(ctx context.Context, db Execer, resources []uuid.UUID) error {
	_, err := db.Exec(ctx, `UPDATE idempotency_outcomes SET response = '' WHERE resource_id = ANY($1) AND response <> ''`, resources)
	if err != nil {
		return fmt.Errorf("erase outcomes: %w", err)
	}
	return nil
}

// EraseOf is Erase for the resources whose rows in the table have one of the owners in the
// column.
func EraseOf(ctx context.Context, db Execer, table, column string, owners []uuid.UUID) error {
	_, err := db.Exec(ctx, `UPDATE idempotency_outcomes SET response = '' WHERE response <> '' AND resource_id IN (
		SELECT id FROM `+pgx.Identifier{table}.Sanitize()+` WHERE `+pgx.Identifier{column}.Sanitize()+` = ANY($1))`, owners)
	if err != nil {
		return fmt.Errorf("erase outcomes of %s: %w", table, err)
	}
	return nil
}
