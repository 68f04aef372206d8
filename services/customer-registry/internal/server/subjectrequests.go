package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/rights"
)

const subjectRequest = "subject request"

// CreateSubjectRequest takes what somebody asks for about a person.
func (s *Server) CreateSubjectRequest(ctx context.Context, req *customerv1.CreateSubjectRequestRequest) (*customerv1.SubjectRequest, error) {
	id, contact, err := s.subjectOf(ctx, req)
	if err != nil {
		return nil, err
	}
	right, err := s.correction(req)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.SubjectRequest, error) {
		kind := rights.Kind(req.GetKind())
		if err := s.askable(ctx, tx, kind, id, contact); err != nil {
			return nil, err
		}
		request, err := newID()
		if err != nil {
			return nil, err
		}
		row := &db.SubjectRequest{
			ID: request, Kind: int16(kind), CustomerID: id, ContactID: contact, Purpose: req.GetPurpose(), State: int16(rights.First(kind)),
			Requester: authn.FromContext(ctx).Actor(), CreateTime: s.now(), Version: 1,
		}
		if row.State == int16(rights.Running) {
			row.NextTime = &row.CreateTime
		}
		if row.Correction, err = s.sealCorrection(ctx, tx, row, right); err != nil {
			return nil, err
		}
		err = s.q.InsertSubjectRequest(ctx, tx, db.InsertSubjectRequestParams{
			ID: row.ID, Kind: row.Kind, CustomerID: id, ContactID: contact, Purpose: row.Purpose, Correction: row.Correction,
			State: row.State, Requester: row.Requester, NextTime: row.NextTime, CreateTime: row.CreateTime,
		})
		if pg.Violates(err, "subject_requests_open_key") {
			return nil, rpcerr.New(codes.AlreadyExists, "SUBJECT_REQUEST_OPEN", rpcerr.T(
				"The same was asked for about this person and is not done yet; look it up with GET /v1/subjectRequests.",
				"针对此人的相同申请尚未完成；请通过 GET /v1/subjectRequests 查看。"))
		}
		if err != nil {
			return nil, fmt.Errorf("insert subject request: %w", err)
		}
		return subjectRequestChanged(tx, "subjectrequest.made.v1", row)
	})
}

// subjectOf reads who a request is about, and wants a purpose of everybody but the customer.
func (s *Server) subjectOf(ctx context.Context, req *customerv1.CreateSubjectRequestRequest) (uuid.UUID, *uuid.UUID, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return uuid.Nil, nil, err
	}
	if err := own(ctx, id); err != nil {
		return uuid.Nil, nil, err
	}
	if req.GetPurpose() == "" && authn.FromContext(ctx).Kind != authn.Customer {
		return uuid.Nil, nil, rpcerr.Invalid("purpose", rpcerr.T(
			"it is empty; say what it is for and how the person asked", "不能为空；请说明用途以及本人如何提出申请"))
	}
	contact, err := optionalID("contact_id", req.GetContactId())
	return id, contact, err
}

// correction normalises what is right; nil unless a correction is asked for.
func (s *Server) correction(req *customerv1.CreateSubjectRequestRequest) (*customerv1.SubjectCorrection, error) {
	if rights.Kind(req.GetKind()) != rights.Correction {
		return nil, nil
	}
	right := proto.CloneOf(req.GetCorrection())
	if right.GetName() == "" && right.GetPhone() == "" && right.GetEmail() == "" {
		return nil, rpcerr.Invalid("correction", rpcerr.T(
			"it is empty; give the name, phone or e-mail that is right", "不能为空；请填写正确的姓名、电话或邮箱"))
	}
	phone, badPhone := customer.Phone(right.GetPhone(), s.region)
	email, badEmail := customer.Email(right.GetEmail())
	var faults []customer.Fault
	for _, bad := range []*customer.Fault{badPhone, badEmail} {
		if bad != nil {
			faults = append(faults, *bad)
		}
	}
	right.Phone, right.Email = phone, email
	return right, invalid("correction.", faults)
}

// askable refuses what cannot be asked about the customer, whose row it locks.
func (s *Server) askable(ctx context.Context, tx *write.Tx, kind rights.Kind, id uuid.UUID, contact *uuid.UUID) error {
	row, err := s.q.LockCustomer(ctx, tx, id)
	if err != nil {
		return missingCustomer(err, id)
	}
	if contact != nil {
		if _, err := s.q.LockContact(ctx, tx, *contact, id); err != nil {
			return missingContact(err, *contact)
		}
	} else if customerv1.Party(row.Party) != customerv1.Party_PARTY_PERSON {
		return rpcerr.WrongState("NOT_A_PERSON", rpcerr.T(
			"The customer %[1]s is an organisation; give contact_id of the person there.",
			"客户 %[1]s 是组织；请用 contact_id 指明其中的个人。", id))
	}
	if !rights.Held(kind) {
		return nil
	}
	return s.personNotHeld(ctx, tx, id)
}

// personNotHeld refuses while a legal hold stands on the customer or one merged into it.
func (s *Server) personNotHeld(ctx context.Context, on pg.DBTX, id uuid.UUID) error {
	ids, err := s.q.ListPersonIDs(ctx, on, id)
	if err != nil {
		return fmt.Errorf("find the customer: %w", err)
	}
	return s.notHeld(ctx, on, ids)
}

// subjectID is the person's: the contact's or the customer's.
func subjectID(row *db.SubjectRequest) uuid.UUID {
	if row.ContactID != nil {
		return *row.ContactID
	}
	return row.CustomerID
}

func correctionPlace(id uuid.UUID) pii.Place {
	return pii.Place{Table: "subject_requests", Column: "correction", Row: id}
}

func (s *Server) sealCorrection(ctx context.Context, tx *write.Tx, row *db.SubjectRequest, right *customerv1.SubjectCorrection) ([]byte, error) {
	if right == nil {
		return nil, nil
	}
	plain, err := proto.Marshal(right)
	if err != nil {
		return nil, fmt.Errorf("encode correction: %w", err)
	}
	return s.keys.Seal(ctx, tx, subjectID(row), correctionPlace(row.ID), string(plain))
}

// GetSubjectRequest returns a request.
func (s *Server) GetSubjectRequest(ctx context.Context, req *customerv1.GetSubjectRequestRequest) (*customerv1.SubjectRequest, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetSubjectRequest(ctx, s.pool, id)
	if err := subjectRequestVisible(ctx, err, &row, id); err != nil {
		return nil, err
	}
	return subjectRequestProto(&row)
}

// subjectRequestVisible hides from customers the requests about others.
func subjectRequestVisible(ctx context.Context, err error, row *db.SubjectRequest, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) || err == nil && own(ctx, row.CustomerID) != nil {
		return rpcerr.NotFound(subjectRequest, id.String())
	}
	if err != nil {
		return fmt.Errorf("read subject request: %w", err)
	}
	return nil
}

// ListSubjectRequests lists requests, newest first.
func (s *Server) ListSubjectRequests(ctx context.Context, req *customerv1.ListSubjectRequestsRequest) (*customerv1.ListSubjectRequestsResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	var mine *uuid.UUID
	if caller := authn.FromContext(ctx); caller.Kind == authn.Customer {
		id, err := uuid.Parse(caller.Subject)
		if err != nil {
			return &customerv1.ListSubjectRequestsResponse{}, nil //nolint:nilerr // whoever is no customer has none
		}
		mine = &id
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListSubjectRequests(ctx, planned{s.pool}, db.ListSubjectRequestsParams{
		Before: before, CustomerID: mine, State: int16(req.GetState()), Count: size + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list subject requests: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.SubjectRequest) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListSubjectRequestsResponse{NextPageToken: next}
	for i := range rows {
		one, err := subjectRequestProto(&rows[i])
		if err != nil {
			return nil, err
		}
		out.SubjectRequests = append(out.SubjectRequests, one)
	}
	return out, nil
}

// ApproveSubjectRequest lets a correction or an erasure begin.
func (s *Server) ApproveSubjectRequest(ctx context.Context, req *customerv1.ApproveSubjectRequestRequest) (*customerv1.SubjectRequest, error) {
	return s.decideSubjectRequest(ctx, req, req.GetId(), req.GetEtag(), "subjectrequest.approved.v1",
		func(ctx context.Context, tx *write.Tx, row *db.SubjectRequest) error {
			row.State, row.NextTime = int16(rights.Running), row.DecideTime
			if !rights.Held(rights.Kind(row.Kind)) {
				return nil
			}
			if _, err := s.q.LockCustomer(ctx, tx, row.CustomerID); err != nil {
				return missingCustomer(err, row.CustomerID)
			}
			return s.personNotHeld(ctx, tx, row.CustomerID)
		})
}

// RefuseSubjectRequest refuses a correction or an erasure.
func (s *Server) RefuseSubjectRequest(ctx context.Context, req *customerv1.RefuseSubjectRequestRequest) (*customerv1.SubjectRequest, error) {
	return s.decideSubjectRequest(ctx, req, req.GetId(), req.GetEtag(), "subjectrequest.refused.v1",
		func(_ context.Context, _ *write.Tx, row *db.SubjectRequest) error {
			row.State, row.Note = int16(rights.Refused), req.GetReason()
			return nil
		})
}

// decideSubjectRequest lets somebody who did not ask decide on a pending request.
func (s *Server) decideSubjectRequest(ctx context.Context, req write.Request, requestID, given, kind string,
	decide func(context.Context, *write.Tx, *db.SubjectRequest) error) (*customerv1.SubjectRequest, error) {
	actor, err := person(ctx)
	if err != nil {
		return nil, err
	}
	id, err := parseID("id", requestID)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.SubjectRequest, error) {
		row, err := s.q.LockSubjectRequest(ctx, tx, id)
		if err := subjectRequestVisible(ctx, err, &row, id); err != nil {
			return nil, err
		}
		if err := authz.SecondPerson(ctx, row.Requester); err != nil {
			return nil, err
		}
		if err := current(given, row.Version, subjectRequest, id); err != nil {
			return nil, err
		}
		if !rights.Decidable(rights.State(row.State)) {
			return nil, subjectRequestInState(&row)
		}
		now := s.now()
		row.Decider, row.DecideTime, row.Version = &actor, &now, row.Version+1
		if err := decide(ctx, tx, &row); err != nil {
			return nil, err
		}
		err = s.q.DecideSubjectRequest(ctx, tx, db.DecideSubjectRequestParams{
			ID: id, State: row.State, Decider: row.Decider, DecideTime: row.DecideTime, Note: row.Note, NextTime: row.NextTime,
		})
		if err != nil {
			return nil, fmt.Errorf("decide subject request: %w", err)
		}
		return subjectRequestChanged(tx, kind, &row)
	})
}

func subjectRequestInState(row *db.SubjectRequest) error {
	state := stateName(customerv1.SubjectRequestState(row.State).String(), "SUBJECT_REQUEST_STATE_")
	return rpcerr.WrongState("SUBJECT_REQUEST_WRONG_STATE", rpcerr.T(
		"The request is %[1]s; this is possible for a pending correction or erasure, and a document only of an export that is done and not older than seven days.",
		"该申请的状态为 %[1]s；只有待审批的更正或删除申请可以审批，只有七天内完成的导出申请可以读取文件。", state)).With("state", state)
}

func subjectRequestChanged(tx *write.Tx, kind string, row *db.SubjectRequest) (*customerv1.SubjectRequest, error) {
	out, err := subjectRequestProto(row)
	if err != nil {
		return nil, err
	}
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID,
		Payload: &customerv1.FileAccessChanged{
			CustomerIds: []string{out.GetCustomerId()}, State: stateName(out.GetState().String(), "SUBJECT_REQUEST_STATE_"),
		},
	})
	tx.Audit("subject_request", row.ID, out)
	return out, nil
}

func subjectRequestProto(row *db.SubjectRequest) (*customerv1.SubjectRequest, error) {
	out := new(customerv1.SubjectRequest)
	if err := proto.Unmarshal(row.Receipt, out); err != nil {
		return nil, fmt.Errorf("receipt of subject request %s: %w", row.ID, err)
	}
	for _, service := range rights.Steps()[len(out.GetSteps()):] {
		out.Steps = append(out.Steps, &customerv1.SubjectStep{Service: service})
	}
	out.Id, out.Kind, out.CustomerId = row.ID.String(), customerv1.SubjectRequestKind(row.Kind), row.CustomerID.String()
	out.Purpose, out.State = row.Purpose, customerv1.SubjectRequestState(row.State)
	out.Requester, out.Note = row.Requester, row.Note
	out.CreateTime, out.Etag = timestamppb.New(row.CreateTime), etag(row.Version)
	if row.ContactID != nil {
		out.ContactId = row.ContactID.String()
	}
	if row.Decider != nil {
		out.Decider, out.DecideTime = *row.Decider, timestamppb.New(*row.DecideTime)
	}
	if row.DoneTime != nil {
		out.DoneTime = timestamppb.New(*row.DoneTime)
	}
	if row.DocumentExpireTime != nil {
		out.DocumentExpireTime = timestamppb.New(*row.DocumentExpireTime)
	}
	return out, nil
}
