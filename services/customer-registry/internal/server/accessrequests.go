package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// CreateAccessRequest asks for the files of named customers.
func (s *Server) CreateAccessRequest(ctx context.Context, req *customerv1.CreateAccessRequestRequest) (*customerv1.AccessRequest, error) {
	asker, err := person(ctx)
	if err != nil {
		return nil, err
	}
	given := req.GetAccessRequest()
	customers, err := s.namedCustomers(ctx, given.GetCustomerIds())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.AccessRequest, error) {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		row := &db.AccessRequest{
			ID: id, Asker: asker, Purpose: given.GetPurpose(), Days: disclosure.Days(given.GetDays(), s.disclosure.GrantDays),
			State: int16(disclosure.Pending), CreateTime: s.now(), Version: 1,
		}
		if o := given.GetOutsider(); o != nil {
			row.Outsider, row.Organisation, row.IdentityCheck = &o.Name, &o.Organisation, &o.IdentityCheck
		}
		var b pg.Batch
		if err := s.q.InsertAccessRequest(ctx, &b, db.InsertAccessRequestParams{
			ID: id, Asker: asker, Purpose: row.Purpose, Days: row.Days, Outsider: row.Outsider,
			Organisation: row.Organisation, IdentityCheck: row.IdentityCheck, CreateTime: row.CreateTime,
		}); err != nil {
			return nil, err
		}
		if err := s.q.InsertAccessRequestCustomers(ctx, &b, id, customers); err != nil {
			return nil, err
		}
		if err := pg.Flush(ctx, tx, &b); err != nil {
			return nil, err
		}
		return s.requestChanged(tx, "accessrequest.created.v1", row, customers), nil
	})
}

// namedCustomers checks that the customers exist and that the caller may know of them.
func (s *Server) namedCustomers(ctx context.Context, given []string) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(given))
	for i, text := range given {
		id, err := parseID(fmt.Sprintf("access_request.customer_ids[%d]", i), text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	var owner *uuid.UUID
	if readerOf(ctx).Sight == disclosure.Own {
		member, err := s.callerMember(ctx)
		if err != nil {
			return nil, err
		}
		owner = &member.ID
	}
	found, err := s.q.FindCustomers(ctx, s.pool, ids, owner)
	if err != nil {
		return nil, fmt.Errorf("find customers: %w", err)
	}
	for i, id := range ids {
		if !slices.Contains(found, id) {
			return nil, rpcerr.Invalid(fmt.Sprintf("access_request.customer_ids[%d]", i), rpcerr.T(
				"there is no customer %[1]s; give ids that a list of summaries gave you",
				"没有客户 %[1]s；请填写客户状况一览表返回的 id", id))
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids, nil
}

// GetAccessRequest returns a request.
func (s *Server) GetAccessRequest(ctx context.Context, req *customerv1.GetAccessRequestRequest) (*customerv1.AccessRequest, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetAccessRequest(ctx, s.pool, id)
	if err := visible(ctx, err, row.Asker, "access request", id); err != nil {
		return nil, err
	}
	customers, err := s.customersOf(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	return s.requestProto(&row, customers[id]), nil
}

// visible refuses a thing that does not exist, or is another's and the caller sees only
// their own, in the same words.
func visible(ctx context.Context, err error, of, kind string, id uuid.UUID) error {
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read %s: %w", kind, err)
	}
	if err != nil || mine(ctx) != nil && *mine(ctx) != of {
		return rpcerr.NotFound(kind, id.String())
	}
	return nil
}

// mine is the actor whose things alone the caller sees; nil for everybody's.
func mine(ctx context.Context) *string {
	if authz.FromContext(ctx).Scope >= accessv1.Scope_SCOPE_COMPANY {
		return nil
	}
	actor := authn.FromContext(ctx).Actor()
	return &actor
}

func (s *Server) customersOf(ctx context.Context, on pg.DBTX, requests ...uuid.UUID) (map[uuid.UUID][]uuid.UUID, error) {
	rows, err := s.q.ListAccessRequestCustomers(ctx, on, requests)
	if err != nil {
		return nil, fmt.Errorf("read customers of access requests: %w", err)
	}
	out := make(map[uuid.UUID][]uuid.UUID, len(requests))
	for _, row := range rows {
		out[row.RequestID] = append(out[row.RequestID], row.CustomerID)
	}
	return out, nil
}

// ListAccessRequests lists requests, newest first.
func (s *Server) ListAccessRequests(ctx context.Context, req *customerv1.ListAccessRequestsRequest) (*customerv1.ListAccessRequestsResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	filter := db.ListAccessRequestsParams{Before: before, Asker: mine(ctx), Count: size + 1}
	now := s.now()
	stored := int16(req.GetState())
	switch req.GetState() {
	case customerv1.AccessRequestState_ACCESS_REQUEST_STATE_UNSPECIFIED:
	case disclosure.Expired:
		stored = int16(disclosure.Approved)
		filter.State, filter.EndedBy = &stored, &now
	case disclosure.Approved:
		filter.State, filter.LastsAt = &stored, &now
	default:
		filter.State = &stored
	}
	rows, err := s.q.ListAccessRequests(ctx, planned{s.pool}, filter)
	if err != nil {
		return nil, fmt.Errorf("list access requests: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.AccessRequest) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, 0, len(rows))
	for i := range rows {
		ids = append(ids, rows[i].ID)
	}
	customers, err := s.customersOf(ctx, s.pool, ids...)
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListAccessRequestsResponse{NextPageToken: next}
	for i := range rows {
		out.AccessRequests = append(out.AccessRequests, s.requestProto(&rows[i], customers[rows[i].ID]))
	}
	return out, nil
}

// ApproveAccessRequest makes a pending request a grant.
func (s *Server) ApproveAccessRequest(ctx context.Context, req *customerv1.ApproveAccessRequestRequest) (*customerv1.AccessRequest, error) {
	return s.decide(ctx, req, req.GetEtag(), disclosure.Approve, func(row *db.AccessRequest) error {
		days, possible := disclosure.Granted(row.Days, req.GetDays())
		if !possible {
			return rpcerr.Invalid("days", rpcerr.T("it is %[1]d, more than the %[2]d asked for; give %[2]d or fewer",
				"为 %[1]d 天，多于申请的 %[2]d 天；请填写不超过 %[2]d 天", req.GetDays(), row.Days))
		}
		end := disclosure.End(s.now(), days)
		row.EndTime, row.Note = &end, req.GetNote()
		return nil
	})
}

// RefuseAccessRequest ends a pending request.
func (s *Server) RefuseAccessRequest(ctx context.Context, req *customerv1.RefuseAccessRequestRequest) (*customerv1.AccessRequest, error) {
	return s.decide(ctx, req, req.GetEtag(), disclosure.Refuse, func(row *db.AccessRequest) error {
		row.Note = req.GetReason()
		return nil
	})
}

// decision is a request that names an access request.
type decision interface {
	write.Request
	GetId() string
}

// decide is the one way to approve or refuse; the asker cannot go it.
func (s *Server) decide(ctx context.Context, req decision, given string, verb disclosure.Verb, fill func(*db.AccessRequest) error) (*customerv1.AccessRequest, error) {
	decider, err := person(ctx)
	if err != nil {
		return nil, err
	}
	return s.moveRequest(ctx, req, given, verb, func(ctx context.Context, tx *write.Tx, row *db.AccessRequest) (string, error) {
		if err := fill(row); err != nil {
			return "", err
		}
		now := s.now()
		row.Decider, row.DecideTime = &decider, &now
		err := s.q.DecideAccessRequest(ctx, tx, db.DecideAccessRequestParams{
			ID: row.ID, State: row.State, Decider: row.Decider, DecideTime: row.DecideTime, Note: row.Note, EndTime: row.EndTime,
		})
		if verb == disclosure.Approve {
			return "accessrequest.approved.v1", err
		}
		return "accessrequest.refused.v1", err
	})
}

// RevokeAccessRequest ends a grant before its time.
func (s *Server) RevokeAccessRequest(ctx context.Context, req *customerv1.RevokeAccessRequestRequest) (*customerv1.AccessRequest, error) {
	if _, err := person(ctx); err != nil {
		return nil, err
	}
	return s.moveRequest(ctx, req, req.GetEtag(), disclosure.Revoke, func(ctx context.Context, tx *write.Tx, row *db.AccessRequest) (string, error) {
		now := s.now()
		row.Note, row.EndTime, row.RevokeTime = req.GetReason(), &now, &now
		return "accessrequest.revoked.v1", s.q.RevokeAccessRequest(ctx, tx, row.Note, row.RevokeTime, row.ID)
	})
}

// moveRequest locks a request, checks that the verb is possible, lets store write it and
// tells of it. store gives the type of the event.
func (s *Server) moveRequest(ctx context.Context, req decision, given string, verb disclosure.Verb,
	store func(context.Context, *write.Tx, *db.AccessRequest) (string, error),
) (*customerv1.AccessRequest, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.AccessRequest, error) {
		row, err := s.lockRequest(ctx, tx, id, verb)
		if err != nil {
			return nil, err
		}
		if err := current(given, row.Version, "access request", id); err != nil {
			return nil, err
		}
		kind, err := store(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		row.Version++
		customers, err := s.customersOf(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		return s.requestChanged(tx, kind, row, customers[id]), nil
	})
}

// lockRequest gives the locked row in the state after the verb, if the caller may do it.
func (s *Server) lockRequest(ctx context.Context, tx *write.Tx, id uuid.UUID, verb disclosure.Verb) (*db.AccessRequest, error) {
	row, err := s.q.LockAccessRequest(ctx, tx, id)
	if err := visible(ctx, err, row.Asker, "access request", id); err != nil {
		return nil, err
	}
	if verb == disclosure.Approve || verb == disclosure.Refuse {
		if err := authz.SecondPerson(ctx, row.Asker); err != nil {
			return nil, err
		}
	}
	state := s.requestState(&row)
	next, possible := disclosure.Next(state, verb)
	if !possible {
		return nil, requestInState(id, state)
	}
	row.State = int16(next)
	return &row, nil
}

func requestInState(id uuid.UUID, state disclosure.State) error {
	word := stateName(state.String(), "ACCESS_REQUEST_STATE_")
	return rpcerr.WrongState("ACCESS_REQUEST_WRONG_STATE", rpcerr.T(
		"The access request %[1]s is %[2]s; a pending one can be approved or refused, an approved one revoked or extracted.",
		"查阅申请 %[1]s 的状态为 %[2]s；只有待审批的可以批准或拒绝，已批准的可以撤销或出具摘录。", id, word)).With("state", word)
}

func (s *Server) requestState(row *db.AccessRequest) disclosure.State {
	state := disclosure.State(row.State)
	if row.EndTime == nil {
		return state
	}
	return disclosure.At(state, *row.EndTime, s.now())
}

// requestChanged tells and records that a request changed.
func (s *Server) requestChanged(tx *write.Tx, kind string, row *db.AccessRequest, customers []uuid.UUID) *customerv1.AccessRequest {
	out := s.requestProto(row, customers)
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version,
		Payload: &customerv1.FileAccessChanged{
			CustomerIds: out.GetCustomerIds(), State: stateName(out.GetState().String(), "ACCESS_REQUEST_STATE_"), EndTime: out.GetEndTime(),
		},
	})
	for _, customer := range customers {
		tx.AuditOf(customer, "access_request", row.ID, out)
	}
	return out
}

func (s *Server) requestProto(row *db.AccessRequest, customers []uuid.UUID) *customerv1.AccessRequest {
	out := &customerv1.AccessRequest{
		Id: row.ID.String(), Purpose: row.Purpose, Days: row.Days, State: s.requestState(row), Asker: row.Asker,
		DecideTime: stampPtr(row.DecideTime), Note: row.Note, EndTime: stampPtr(row.EndTime),
		CreateTime: timestamppb.New(row.CreateTime), Etag: etag(row.Version),
	}
	if row.Decider != nil {
		out.Decider = *row.Decider
	}
	if row.Outsider != nil {
		out.Outsider = &customerv1.Outsider{Name: *row.Outsider, Organisation: *row.Organisation, IdentityCheck: *row.IdentityCheck}
	}
	out.CustomerIds = texts(customers)
	return out
}
