package audit

import (
	"context"
	"crypto/hmac"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// trailType and trailID are the object that a reading of the trail names.
const trailType = "audit_trail"

var trailID = uuid.MustParse("01900000-0000-7000-8000-0000000a0d17")

// Server lists a service's records for auditors. What it gives are the records themselves,
// each with its seal checked; the table it searches by only says where they are.
type Server struct {
	auditv1.UnimplementedAuditServiceServer
	service string
	pool    *pgxpool.Pool
	key     []byte
	pages   *page.Sealer
	wake    func()
	now     func() time.Time
}

// NewServer reads the trail of the named service. wake is called after each reading, which
// leaves a record itself: Sequencer.Wake.
func NewServer(service string, pool *pgxpool.Pool, key []byte, pages *page.Sealer, wake func(), now func() time.Time) *Server {
	return &Server{service: service, pool: pool, key: key, pages: pages, wake: wake, now: now}
}

// ListAuditRecords is described in the proto.
func (s *Server) ListAuditRecords(ctx context.Context, req *auditv1.ListAuditRecordsRequest) (*auditv1.ListAuditRecordsResponse, error) {
	if req.GetSource() != s.service {
		return nil, rpcerr.Invalid("source", rpcerr.T(
			"it is %[1]q and this is %[2]s; call %[1]s for its trail", "值为 %[1]q，而当前服务是 %[2]s；请向 %[1]s 查询其审计记录", req.GetSource(), s.service))
	}
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	q, err := newSearch(req, cursor, size+1)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("search the audit trail: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanFound)
	if err != nil {
		return nil, fmt.Errorf("search the audit trail: %w", err)
	}
	// What was asked is recorded before anything leaves.
	if err := s.recordReading(ctx, req); err != nil {
		return nil, err
	}
	out := &auditv1.ListAuditRecordsResponse{}
	if len(found) > int(size) {
		found = found[:size]
		last := found[size-1]
		if out.NextPageToken, err = s.pages.Seal(ctx, req, last.cursor()); err != nil {
			return nil, err
		}
	}
	for i := range found {
		out.AuditRecords = append(out.AuditRecords, found[i].proto(s.key))
	}
	return out, nil
}

func (s *Server) recordReading(ctx context.Context, req *auditv1.ListAuditRecordsRequest) error {
	e := Entry{
		Action: auditv1.AuditService_ListAuditRecords_FullMethodName, ObjectType: trailType, ObjectID: trailID,
		Right: authz.FromContext(ctx).Right, Changes: req,
	}
	err := pg.InBatch(ctx, s.pool, func(b *pg.Batch) error { return Insert(ctx, b, s.key, e, Called(ctx, s.now())) })
	if err != nil {
		return fmt.Errorf("record the reading of the audit trail: %w", err)
	}
	s.wake()
	return nil
}

// search is one query. Its conditions are written out for the filters that are given, so
// that the planner sees which index serves them.
type search struct {
	where []string
	args  []any
	limit int32
}

const searchColumns = `SELECT s.time, s.position, r.id, r.time, r.actor, r.actor_kind, r.action, r.object_type, r.object_id,
  r.access_right, r.changes_hash, r.request_id, r.cause_event_id, r.customer_id, r.address, r.mac
FROM audit_search AS s JOIN audit_records AS r ON r.id = s.audit_id`

func newSearch(req *auditv1.ListAuditRecordsRequest, cursor string, limit int32) (*search, error) {
	q := &search{limit: limit}
	for _, c := range []struct{ column, value string }{
		{"actor", req.GetActor()}, {"action", req.GetAction()}, {"access_right", req.GetRight()},
	} {
		if c.value != "" {
			q.add("s."+c.column+" = $%d", c.value)
		}
	}
	for _, c := range []struct{ column, field, value string }{
		{"object_id", "object_id", req.GetObjectId()}, {"customer_id", "customer_id", req.GetCustomerId()},
	} {
		if c.value == "" {
			continue
		}
		id, err := uuid.Parse(c.value)
		if err != nil {
			return nil, rpcerr.Invalid(c.field, rpcerr.T("it is no UUID", "不是 UUID"))
		}
		q.add("s."+c.column+" = $%d", id)
	}
	if text := req.GetAddress(); text != "" {
		address, ok := parseAddress(text)
		if !ok {
			return nil, rpcerr.Invalid("address", rpcerr.T(
				"%[1]q is neither an address nor a network; give one like 203.0.113.7 or 203.0.113.0/24",
				"%[1]q 既不是地址也不是网段；请使用 203.0.113.7 或 203.0.113.0/24 这样的值", text))
		}
		q.add("s.address = $%d", address)
	}
	if t := req.GetTimeFrom(); t != nil {
		q.add("s.time >= $%d", t.AsTime())
	}
	if t := req.GetTimeTo(); t != nil {
		q.add("s.time < $%d", t.AsTime())
	}
	if cursor != "" {
		at, position, err := readCursor(cursor)
		if err != nil {
			return nil, err
		}
		q.args = append(q.args, at, position)
		q.where = append(q.where, fmt.Sprintf("(s.time, s.position) < ($%d, $%d)", len(q.args)-1, len(q.args)))
	}
	return q, nil
}

func (q *search) add(condition string, value any) {
	q.args = append(q.args, value)
	q.where = append(q.where, fmt.Sprintf(condition, len(q.args)))
}

func (q *search) text() string {
	var b strings.Builder
	b.WriteString(searchColumns)
	if len(q.where) > 0 {
		b.WriteString("\nWHERE " + strings.Join(q.where, " AND "))
	}
	b.WriteString("\nORDER BY s.time DESC, s.position DESC LIMIT " + strconv.Itoa(int(q.limit)))
	return b.String()
}

// found is a record with the place at which the search has it.
type found struct {
	record
	at       time.Time
	position int64
	seal     []byte
}

func scanFound(row pgx.CollectableRow) (f found, err error) {
	err = row.Scan(&f.at, &f.position, &f.id, &f.time, &f.actor, &f.actorKind, &f.action, &f.objectType, &f.objectID,
		&f.right, &f.changes, &f.requestID, &f.cause, &f.customer, &f.address, &f.seal)
	return f, err
}

func (f *found) cursor() string {
	return strconv.FormatInt(f.at.UnixMicro(), 10) + "/" + strconv.FormatInt(f.position, 10)
}

func readCursor(cursor string) (at time.Time, position int64, err error) {
	var micros int64
	if _, err := fmt.Sscanf(cursor, "%d/%d", &micros, &position); err != nil {
		return at, 0, fmt.Errorf("cursor of the audit trail: %w", err)
	}
	return time.UnixMicro(micros), position, nil
}

func (f *found) proto(key []byte) *auditv1.AuditRecord {
	return &auditv1.AuditRecord{
		Id: f.id.String(), Position: f.position, Time: timestamppb.New(f.time),
		Actor: f.actor, ActorKind: eventv1.ActorKind(f.actorKind), Action: f.action,
		ObjectType: f.objectType, ObjectId: f.objectID.String(), CustomerId: idText(f.customer),
		Right: f.right, RequestId: f.requestID, CauseEventId: idText(f.cause), ChangesHash: f.changes,
		Address: addressText(f.address),
		Intact:  hmac.Equal(f.seal, f.mac(key)),
	}
}

func idText(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}
