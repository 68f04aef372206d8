// Package write is the one way by which a service changes its data. A call of [Do] or
// [DoBatch] commits the business rows, their events, the audit record and the outcome
// under the caller's request id in one transaction, or nothing of it. An answer without
// error means that all four are committed.
package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Reasons of the errors this package answers with.
const (
	// ReasonReused (ALREADY_EXISTS): the request id stands for another body.
	ReasonReused = "REQUEST_ID_REUSED"
	// ReasonInProgress (UNAVAILABLE): a call with the same request id has not ended yet.
	ReasonInProgress = "REQUEST_IN_PROGRESS"
)

// maxRequestID bounds what a caller may make us keep.
const maxRequestID = 128

// Keyring derives the keys of audit and idempotency; *pii.Keyring is one. The key for a
// label has 32 bytes and never changes.
type Keyring interface{ Derive(label string) []byte }

// Config is what a Path needs. Everything but Now is required.
type Config struct {
	Pool    *pgxpool.Pool
	Keyring Keyring
	// Service is the actor of effects and jobs.
	Service string
	Log     *slog.Logger
	// Wake is called after each commit that recorded something: Sequencer.Wake.
	Wake func()
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Path is the write path of one service. It is safe for concurrent use.
type Path struct {
	pool     *pgxpool.Pool
	vault    *idempotency.Vault
	auditKey []byte
	service  string
	log      *slog.Logger
	wake     func()
	now      func() time.Time
}

// New makes a Path. It fails when something required is missing or the keyring gives no
// usable key.
func New(cfg Config) (*Path, error) {
	if cfg.Pool == nil || cfg.Keyring == nil || cfg.Service == "" || cfg.Log == nil || cfg.Wake == nil {
		return nil, errors.New("write path: pool, keyring, service, log and wake are required")
	}
	vault, err := idempotency.NewVault(cfg.Keyring.Derive(idempotency.KeyLabel))
	if err != nil {
		return nil, err
	}
	p := &Path{
		pool: cfg.Pool, vault: vault, auditKey: cfg.Keyring.Derive(audit.KeyLabel),
		service: cfg.Service, log: cfg.Log, wake: cfg.Wake, now: cfg.Now,
	}
	if len(p.auditKey) == 0 {
		return nil, errors.New("write path: the keyring gives no audit key")
	}
	if p.now == nil {
		p.now = time.Now
	}
	return p, nil
}

// Request is a mutating request: it carries the caller's request id.
type Request interface {
	proto.Message
	GetRequestId() string
}

// call is what is recorded of one change besides what the use case says.
type call struct {
	action, right string
	event         event.Origin
	audit         audit.Origin

	key      idempotency.Key // zero: nobody can ask for this outcome again
	bodyHash []byte
}

func (c *call) keyed() bool { return c.key.RequestID != "" }

// enter reads from the context who calls what. A call without request id gets no key: no
// one knows an id made here, so there is nothing to keep an outcome for.
func (p *Path) enter(ctx context.Context, req Request) (*call, error) {
	method, ok := grpc.Method(ctx)
	if !ok {
		return nil, errors.New("write outside an RPC: use write.Effect or write.Job")
	}
	requestID := req.GetRequestId()
	if len(requestID) > maxRequestID || strings.ContainsRune(requestID, 0) {
		return nil, rpcerr.Invalid("request_id", rpcerr.T(
			"it has %d bytes; use at most %d without NUL, best a UUID",
			"长度为 %d 字节；最多 %d 字节且不含 NUL，建议使用 UUID", len(requestID), maxRequestID))
	}
	trace := rpc.RequestID(ctx)
	if trace == "" {
		trace = requestID
	}
	o := audit.Called(ctx, p.now())
	o.RequestID = trace
	c := newCall(o, method, authz.FromContext(ctx).Right)
	if requestID == "" {
		return c, nil
	}
	c.key = idempotency.Key{Caller: o.Actor, Method: method, RequestID: requestID}
	var err error
	if c.bodyHash, err = p.vault.HashBody(req); err != nil {
		return nil, err
	}
	return c, nil
}

func newCall(o audit.Origin, action, right string) *call {
	return &call{
		action: action, right: right, audit: o,
		event: event.Origin{ActorKind: o.ActorKind, ActorID: o.Actor, RequestID: o.RequestID, RecordTime: o.Time},
	}
}

// record writes what the use case recorded, after its own statements: the events' ids
// must be drawn under the locks of the changed rows.
func (p *Path) record(ctx context.Context, db audit.Execer, c *call, r *Record) error {
	for _, e := range r.events {
		if err := event.Insert(ctx, db, e, c.event); err != nil {
			return err
		}
	}
	for _, e := range r.audits {
		if err := audit.Insert(ctx, db, p.auditKey, c.entry(e, r), c.audit); err != nil {
			return err
		}
	}
	return nil
}

// many is how many events and audit records of one change go together rather than by a
// statement each.
const many = 100

// recordIn is record in an open transaction, where many events go by COPY and many audit records
// in one statement. What else is to be written goes with rest.
func (p *Path) recordIn(ctx context.Context, tx pgx.Tx, rest *pg.Batch, c *call, r *Record) error {
	if len(r.events)+len(r.audits) < many {
		return p.record(ctx, rest, c, r)
	}
	if err := event.InsertAll(ctx, tx, r.events, c.event); err != nil {
		return err
	}
	// The rule of Record.customer, without a look through all events for each record.
	customers := make(map[uuid.UUID]uuid.UUID, len(r.events))
	for _, e := range r.events {
		if _, known := customers[e.SubjectID]; !known && e.CustomerID != uuid.Nil {
			customers[e.SubjectID] = e.CustomerID
		}
	}
	acts := make([]audit.Act, len(r.audits))
	for i, e := range r.audits {
		if e.CustomerID == uuid.Nil {
			e.CustomerID = customers[e.ObjectID]
		}
		acts[i] = audit.Act{Entry: c.entry(e, r), Origin: c.audit}
	}
	return audit.InsertMany(ctx, tx, p.auditKey, acts)
}

// entry completes what the use case said of a change.
func (c *call) entry(e audit.Entry, r *Record) audit.Entry {
	e.Action = c.action
	if e.Right == "" {
		e.Right = c.right
	}
	if e.CustomerID == uuid.Nil {
		e.CustomerID = r.customer(e.ObjectID)
	}
	return e
}

// keep writes the outcome, if the caller can ask for it again.
func (p *Path) keep(ctx context.Context, db idempotency.Execer, c *call, r *Record, response proto.Message) error {
	if !c.keyed() {
		return nil
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(response)
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	o := idempotency.Outcome{BodyHash: c.bodyHash, Response: encoded}
	if len(r.audits) > 0 {
		o.ResourceID = r.audits[0].ObjectID
		o.ResourceVersion = r.version(o.ResourceID)
	}
	return p.vault.Insert(ctx, db, c.key, o, c.event.RecordTime)
}

// replay turns a kept outcome into the answer of this call.
func replay[T proto.Message](c *call, o *idempotency.Outcome) (T, error) {
	var none T
	if string(o.BodyHash) != string(c.bodyHash) {
		return none, rpcerr.New(codes.AlreadyExists, ReasonReused, rpcerr.T(
			"Request id %q was already used for a call with other content; use a new request id for a new change.",
			"请求 id %q 已用于内容不同的调用；新的变更请使用新的请求 id。", c.key.RequestID))
	}
	if o.Erased {
		return none, rpcerr.New(codes.AlreadyExists, ReasonReused, rpcerr.T(
			"The call with request id %q was about a person who was erased since; its answer is gone.",
			"请求 id 为 %q 的调用涉及的人员数据已被删除；其结果不再保留。", c.key.RequestID))
	}
	response, ok := none.ProtoReflect().New().Interface().(T)
	if !ok {
		return none, fmt.Errorf("%T is no generated message", none)
	}
	if err := proto.Unmarshal(o.Response, response); err != nil {
		return none, fmt.Errorf("decode stored response: %w", err)
	}
	return response, nil
}

// translate makes the failures public whose meaning is known. A lost connection, also one
// lost during the commit, is UNAVAILABLE: the caller's next try with the same request id
// waits for the first one's end and finds its outcome.
func (p *Path) translate(ctx context.Context, c *call, err error) error {
	if public := new(rpcerr.Error); errors.As(err, &public) || !pg.Unavailable(err) {
		return err
	}
	p.log.WarnContext(ctx, "write lost its database", "action", c.action, "request_id", c.event.RequestID,
		"outcome_unknown", errors.Is(err, pg.ErrOutcomeUnknown), "error", pg.Describe(err))
	return rpcerr.Unavailable("database")
}

// missing reports whether a response is no message at all.
func missing(m proto.Message) bool { return m == nil || !m.ProtoReflect().IsValid() }
