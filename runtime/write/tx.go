package write

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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

// AuditOf is Audit for an object of a customer of whom no event of the call tells.
func (r *Record) AuditOf(customer uuid.UUID, objectType string, id uuid.UUID, changes any) {
	r.AuditRight("", customer, objectType, id, changes)
}

// AuditRight is AuditOf for a change that rests on another right than the one by which the
// call was let in, e.g. a grant for the one object.
func (r *Record) AuditRight(right string, customer uuid.UUID, objectType string, id uuid.UUID, changes any) {
	r.audits = append(r.audits, audit.Entry{ObjectType: objectType, ObjectID: id, CustomerID: customer, Changes: changes, Right: right})
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

// customer is whom the change of an object concerns, unless its audit record was told: the
// customer of the object's event, or the only one that the events of the call tell of.
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
	soon pg.Batch
	sent bool // something of it
}

// Soon collects statements whose results nothing waits for. They go along with the record at
// the end, in one round trip, or before the next statement that tx is asked for, in one of
// their own: so the order of statements stays. One that fails fails what it went along with.
func (tx *Tx) Soon() *pg.Batch { return &tx.soon }

// send sends what waits.
func (tx *Tx) send(ctx context.Context) error {
	if tx.soon.Len() == 0 {
		return nil
	}
	b := tx.soon
	tx.soon, tx.sent = pg.Batch{}, true
	return pg.Flush(ctx, tx.Tx, &b)
}

// Exec is that of the transaction, after what waits.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := tx.send(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return tx.Tx.Exec(ctx, sql, args...)
}

// Query is that of the transaction, after what waits.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := tx.send(ctx); err != nil {
		return nil, err
	}
	return tx.Tx.Query(ctx, sql, args...)
}

// QueryRow is that of the transaction, after what waits.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := tx.send(ctx); err != nil {
		return failed{err}
	}
	return tx.Tx.QueryRow(ctx, sql, args...)
}

// SendBatch is that of the transaction, after what waits.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := tx.send(ctx); err != nil {
		return failed{err}
	}
	return tx.Tx.SendBatch(ctx, b)
}

// CopyFrom is that of the transaction, after what waits.
func (tx *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := tx.send(ctx); err != nil {
		return 0, err
	}
	return tx.Tx.CopyFrom(ctx, table, columns, rows)
}

// Begin is that of the transaction, after what waits.
func (tx *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := tx.send(ctx); err != nil {
		return nil, err
	}
	return tx.Tx.Begin(ctx)
}

// failed stands for the results of a statement that was not sent.
type failed struct{ err error }

func (f failed) Scan(...any) error                { return f.err }
func (f failed) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, f.err }
func (f failed) Query() (pgx.Rows, error)         { return nil, f.err }
func (f failed) QueryRow() pgx.Row                { return f }
func (f failed) Close() error                     { return f.err }
func (f failed) Tx() pgx.Tx                       { return nil }

// Commit always fails: the write path commits.
func (tx *Tx) Commit(context.Context) error { return errNotYours }

// Rollback always fails: return an error instead.
func (tx *Tx) Rollback(context.Context) error { return errNotYours }

// BatchTx collects statements that need no read. sqlc's :exec queries take it.
type BatchTx struct {
	*pg.Batch
	Record
}
