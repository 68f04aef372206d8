// Package audit keeps the record of who changed what and by which right.
//
// A record is written in the transaction of the change and carries a MAC over all its
// fields, so nobody without the key can make or alter one. [Link] binds committed records
// into a chain of keyed hashes, in the sequencer's pass and not in the business
// transaction, because a chain head is a lock that all writers would share. The same pass
// enters them into the table that [Server] searches. All three tables are INSERT and
// SELECT only for the role the service runs as. The records of what is only read ([Reads])
// wait in a table of their own until that pass. Removing a record in the moment before it
// is linked is outside the promise. Removing the chain's end shows by the heads that
// [Anchor] keeps outside the database.
package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// KeyLabel is the label under which the key of this package is derived from the keyring.
const KeyLabel = "audit"

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes audit_records, audit_chain, the search and the queues before them.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "audit", FS: migrations}
}

// Entry is what a use case says about its change.
type Entry struct {
	// Action is the full method name, or "consumer/<name>".
	Action string
	// ObjectType and ObjectID name what was changed.
	ObjectType string
	ObjectID   uuid.UUID
	// Right is the right that was used.
	Right string
	// CustomerID is the customer concerned; zero where there is none.
	CustomerID uuid.UUID
	// Changes is what was changed: a proto.Message or anything that encodes to JSON. Only
	// its keyed hash is stored, so a disputed value can be confirmed and not read.
	Changes any
}

// Execer is the part of a transaction or a batch that writing needs.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// columns are those of a record, in the order of record.values.
const columns = `id, time, actor, actor_kind, action, object_type, object_id,
    access_right, changes_hash, request_id, cause_event_id, mac, customer_id, address`

var insertRecord = pg.NewRows(`
WITH record AS (
  INSERT INTO audit_records (` + columns + `)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
  RETURNING id
)
INSERT INTO audit_pending (audit_id) SELECT id FROM record`)

// Insert writes one record through db, which must be the transaction of the change, and
// queues it for its link. It fails when the changes cannot be encoded or the database
// refuses; then the change must not commit.
func Insert(ctx context.Context, db Execer, key []byte, e Entry, o Origin) error {
	r, err := newRecord(key, e, o)
	if err != nil {
		return err
	}
	if err := insertRecord.Exec(ctx, db, r.values(key)); err != nil {
		return fmt.Errorf("insert audit record: %w", err)
	}
	return nil
}

// values are those of the columns.
func (r *record) values(key []byte) []any {
	return []any{
		r.id, r.time, r.actor, r.actorKind, r.action, r.objectType, r.objectID,
		r.right, r.changes, r.requestID, r.cause, r.mac(key), r.customer, r.address,
	}
}

func newRecord(key []byte, e Entry, o Origin) (*record, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("audit id: %w", err)
	}
	r := &record{
		id: id, time: o.Time.UTC().Truncate(time.Microsecond), actor: o.Actor, actorKind: int16(o.ActorKind),
		action: e.Action, objectType: e.ObjectType, objectID: e.ObjectID, right: e.Right, requestID: o.RequestID,
		address: o.Address,
	}
	if o.CauseEventID != uuid.Nil {
		r.cause = &o.CauseEventID
	}
	if e.CustomerID != uuid.Nil {
		r.customer = &e.CustomerID
	}
	r.changes, err = HashChanges(key, e.Changes)
	return r, err
}

// HashChanges is the keyed hash that a record of these changes holds; nil changes hash
// like an empty value. It fails when the value has no JSON encoding.
func HashChanges(key []byte, changes any) ([]byte, error) {
	var encoded []byte
	var err error
	switch c := changes.(type) {
	case nil:
	case proto.Message:
		encoded, err = proto.MarshalOptions{Deterministic: true}.Marshal(c)
	default:
		encoded, err = json.Marshal(c)
	}
	if err != nil {
		return nil, fmt.Errorf("encode audited changes: %w", err)
	}
	return keyedHash(key, append([]byte("changes\x00"), encoded...)), nil
}

// record is a row of audit_records.
type record struct {
	id                               uuid.UUID
	time                             time.Time
	actor, action, objectType, right string
	actorKind                        int16
	objectID                         uuid.UUID
	changes                          []byte
	requestID                        string
	cause, customer                  *uuid.UUID
	address                          netip.Prefix
}

// The forms of what a MAC covers. A record without an address has the first, in which those of
// before there was one were sealed: taking the address away shows too, and no record of one
// form is encoded like one of the other.
const (
	formPlain     = "record"
	formAddressed = "addressed record"
)

// mac covers every field, each with its length, so that no two records share an encoding.
func (r *record) mac(key []byte) []byte {
	var cause []byte
	if r.cause != nil {
		cause = r.cause[:]
	}
	form := formPlain
	if r.address.IsValid() {
		form = formAddressed
	}
	b := make([]byte, 0, 512)
	b = part(b, []byte(form))
	b = part(b, r.id[:])
	b = part(b, binary.BigEndian.AppendUint64(nil, uint64(r.time.UnixMicro())))
	b = part(b, []byte(r.actor))
	b = part(b, binary.BigEndian.AppendUint16(nil, uint16(r.actorKind)))
	b = part(b, []byte(r.action))
	b = part(b, []byte(r.objectType))
	b = part(b, r.objectID[:])
	b = part(b, []byte(r.right))
	b = part(b, r.changes)
	b = part(b, []byte(r.requestID))
	b = part(b, cause)
	if r.customer != nil { // records of before there was one have none
		b = part(b, r.customer[:])
	}
	if r.address.IsValid() {
		b = part(b, append(r.address.Addr().AsSlice(), byte(r.address.Bits())))
	}
	return keyedHash(key, b)
}

// part appends one part with its length.
func part(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(b))), b...)
}

func keyedHash(key, of []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(of)
	return h.Sum(nil)
}
