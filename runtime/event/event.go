// Package event carries what a service did to the others, exactly once and in order.
//
// A business transaction inserts its events into the outbox ([Insert]) and takes no lock
// that other writers share. One [Sequencer] a database then gives committed rows a dense
// position: order of one thing's events is the order of their commits, what commits later
// gets a later position, and nothing waits for other transactions. [Server] streams
// numbered events, and [Consumer] applies them in the transaction that moves its cursor.
package event

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the outbox, the consumers' cursors and the parked events. The
// sequencer also links audit records, so audit.Migrations must be applied too.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "event", FS: migrations}
}

// Event is what a use case says about one transition. It must hold no personal data of
// customers or contacts: the outbox is kept for ever.
type Event struct {
	// Type is name and version, e.g. "ticket.resolved.v1".
	Type string
	// SubjectID is the thing that changed and SubjectVersion its version afterwards.
	SubjectID      uuid.UUID
	SubjectVersion int64
	// CustomerID is the customer concerned; zero where there is none.
	CustomerID uuid.UUID
	// OccurTime is when it happened in the world; zero means now.
	OccurTime time.Time
	// Historic marks imported history.
	Historic bool
	// Payload is the message documented for the type; nil where the type has none.
	Payload proto.Message
}

// Origin says who caused an event, on whose call and when.
type Origin struct {
	ActorKind  eventv1.ActorKind
	ActorID    string
	RequestID  string
	RecordTime time.Time
}

// Execer is the part of a transaction or a batch that writing needs.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

var insertEvent = pg.NewRows(`
INSERT INTO event_outbox (event_id, type, subject_id, subject_version, customer_id, occur_time, record_time,
  actor_kind, actor_id, request_id, historic, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`)

// Insert writes one event through db, which must be the transaction of the change and
// must already hold the lock of the changed row: the id that orders the events of one
// thing is drawn here. It fails on an event without type or subject.
func Insert(ctx context.Context, db Execer, e Event, o Origin) error {
	values, err := row(e, o)
	if err != nil {
		return err
	}
	if err := insertEvent.Exec(ctx, db, values); err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	return nil
}

// columns of the outbox that an insert fills, in the order of row.
var columns = []string{
	"event_id", "type", "subject_id", "subject_version", "customer_id", "occur_time", "record_time",
	"actor_kind", "actor_id", "request_id", "historic", "payload",
}

// InsertAll is Insert for many events, in their order, by COPY: for imports, where a statement
// an event would cost more than the rows it tells of.
func InsertAll(ctx context.Context, tx pgx.Tx, events []Event, o Origin) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"event_outbox"}, columns,
		pgx.CopyFromSlice(len(events), func(i int) ([]any, error) { return row(events[i], o) }))
	if err != nil {
		return fmt.Errorf("insert %d events: %w", len(events), err)
	}
	return nil
}

// row draws the id of an event and gives its values.
func row(e Event, o Origin) ([]any, error) {
	if e.Type == "" || e.SubjectID == uuid.Nil {
		return nil, fmt.Errorf("event %q of subject %s: type and subject are required", e.Type, e.SubjectID)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("event id: %w", err)
	}
	var payload []byte
	if e.Payload != nil {
		if payload, err = pack(e.Payload); err != nil {
			return nil, err
		}
	}
	var customer *uuid.UUID
	if e.CustomerID != uuid.Nil {
		customer = &e.CustomerID
	}
	occurred := e.OccurTime
	if occurred.IsZero() {
		occurred = o.RecordTime
	}
	return []any{
		id, e.Type, e.SubjectID, e.SubjectVersion, customer, occurred, o.RecordTime,
		int16(o.ActorKind), o.ActorID, o.RequestID, e.Historic, payload,
	}, nil
}

func pack(m proto.Message) ([]byte, error) {
	payload, err := anypb.New(m)
	if err != nil {
		return nil, fmt.Errorf("pack event payload: %w", err)
	}
	encoded, err := proto.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode event payload: %w", err)
	}
	return encoded, nil
}

// Unpack gives the payload of an event as T. It fails when the event carries another
// message or none.
func Unpack[T proto.Message](e *eventv1.Envelope) (T, error) {
	var none T
	payload, ok := none.ProtoReflect().New().Interface().(T)
	if !ok {
		return none, fmt.Errorf("%T is no generated message", none)
	}
	if err := e.GetPayload().UnmarshalTo(payload); err != nil {
		return none, fmt.Errorf("unpack payload of event %s (%s): %w", e.GetId(), e.GetType(), err)
	}
	return payload, nil
}
