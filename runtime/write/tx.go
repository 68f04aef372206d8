package write

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
)

var (
	errNoAudit   = errors.New("a write must call Audit for what it changed, or Unchanged")
	errUnchanged = errors.New("a write that calls Unchanged must neither Emit nor Audit")
	errNoAnswer  = errors.New("a write must answer with a message")
	errNotYours  = errors.New("the write path commits and rolls back")
)

// Record collects what a use case says about its change. It is written after the use
// case's own statements, in the same transaction.
type Record struct {
	events    []event.Event
	audits    []audit.Entry
	unchanged bool
}

// Emit adds an event, in the order of the calls.
func (r *Record) Emit(e event.Event) { r.events = append(r.events, e) }

// Audit adds the audit record of the change: what object, and what was changed. Every
// write calls it once, an import once for each object; a write that returns without
// error and called neither Audit nor Unchanged is rolled back with a private error.
func (r *Record) Audit(objectType string, id uuid.UUID, changes any) {
	r.audits = append(r.audits, audit.Entry{ObjectType: objectType, ObjectID: id, Changes: changes})
}

// AuditRight is Audit for a change that rests on another right than the one by which the
// call was let in, e.g. a grant for the one object.
func (r *Record) AuditRight(right, objectType string, id uuid.UUID, changes any) {
	r.audits = append(r.audits, audit.Entry{ObjectType: objectType, ObjectID: id, Changes: changes, Right: right})
}

// Unchanged says that the call found everything as it asked for and changed nothing.
func (r *Record) Unchanged() { r.unchanged = true }

func (r *Record) check(ctx context.Context) error {
	switch {
	case r.unchanged && len(r.events)+len(r.audits) > 0:
		return errUnchanged
	case !r.unchanged && len(r.audits) == 0:
		return errNoAudit
	}
	return authz.Settled(ctx)
}

// version is that of the object after its last event, 0 where none told it.
func (r *Record) version(id uuid.UUID) (v int64) {
	for _, e := range r.events {
		if e.SubjectID == id {
			v = e.SubjectVersion
		}
	}
	return v
}

// customer is whom the change of an object concerns: the customer of the object's event, or
// the only one that the events of the call tell of.
func (r *Record) customer(object uuid.UUID) uuid.UUID {
	var only uuid.UUID
	several := false
	for _, e := range r.events {
		if e.CustomerID == uuid.Nil {
			continue
		}
		if e.SubjectID == object {
			return e.CustomerID
		}
		several = several || (only != uuid.Nil && only != e.CustomerID)
		only = e.CustomerID
	}
	if several {
		return uuid.Nil
	}
	return only
}

// Tx is a transaction in which to read, decide and write. sqlc's queries take it, and so
// does whatever takes its embedded pgx.Tx.
type Tx struct {
	pgx.Tx
	Record
}

// Commit always fails: the write path commits.
func (tx *Tx) Commit(context.Context) error { return errNotYours }

// Rollback always fails: return an error instead.
func (tx *Tx) Rollback(context.Context) error { return errNotYours }

// BatchTx collects statements that need no read. sqlc's :exec queries take it.
type BatchTx struct {
	*pg.Batch
	Record
}
