package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// The permissions that are asked for beside the one that let a call in.
const (
	grantsUse   = "grants.use"
	visitsRead  = "visits.read"
	readSummary = "summaries.read"
)

// whole shows of a file what no role of the caller shows them: under a grant, and of a value
// that is unmasked.
func whole(ctx context.Context) {
	authz.Reveal(ctx, authz.Clearance{Purpose: access.ForService, Shown: accessv1.Sensitivity_SENSITIVITY_CONFIDENTIAL})
}

// readerOf is the caller to the rules of disclosure, without their place in the directory.
func readerOf(ctx context.Context) disclosure.Reader {
	r := disclosure.Reader{Clearance: disclosure.Whole, Trusted: trusted(authn.FromContext(ctx))}
	switch permission := authz.FromContext(ctx).Permission; {
	case permission == grantsUse, permission == visitsRead:
		r.Clearance = disclosure.None
	case strings.HasSuffix(permission, ".readmasked"):
		r.Clearance = disclosure.Masked
	}
	switch authz.Held(ctx, readSummary) {
	case accessv1.Scope_SCOPE_COMPANY, accessv1.Scope_SCOPE_TEAM:
		r.Sight = disclosure.All
	case accessv1.Scope_SCOPE_OWN:
		r.Sight = disclosure.Own
	}
	return r
}

// trusted tells who reads the files of key customers whatever their team. Systems have
// exactly what was listed for them, customers see their own file alone.
func trusted(caller authn.Identity) bool {
	if caller.Kind != authn.Person {
		return true
	}
	return slices.ContainsFunc(caller.Roles, func(role string) bool {
		switch role {
		case access.InformationAdministrator, access.ServiceManager, access.SalesManager, access.CompanyManager:
			return true
		}
		return false
	})
}

// unopened is CUSTOMER_NOT_FOUND for those who may know which customers there are. The
// others need a grant for this one, whether it exists or not.
func unopened(ctx context.Context, err error, id uuid.UUID) error {
	r := readerOf(ctx)
	if errors.Is(err, pgx.ErrNoRows) && r.Clearance == disclosure.None && r.Sight == disclosure.Blind {
		return grantNeeded()
	}
	return missingCustomer(err, id)
}

// part is what somebody wants to read of a file.
type part int

const (
	// allOfIt is anything that a visit does not open.
	allOfIt part = iota
	// waysThere is how to get to the customer and reach the people there.
	waysThere
)

// openFile reads a customer and decides what the caller may read of the file: by clearance,
// customer value and team, and where these do not suffice by a grant or a visit. What it
// refuses it says why.
func (s *Server) openFile(ctx context.Context, id uuid.UUID, wanted part) (*db.Customer, disclosure.Verdict, error) {
	if err := own(ctx, id); err != nil {
		return nil, disclosure.Verdict{}, err
	}
	caller := authn.FromContext(ctx)
	if caller.Kind != authn.Person {
		row, err := s.q.GetCustomer(ctx, s.pool, id)
		if err != nil {
			return nil, disclosure.Verdict{}, unopened(ctx, err, id)
		}
		verdict := disclosure.ByClearance(readerOf(ctx), fileOf(&row))
		return &row, verdict, closed(id, verdict)
	}
	visits := wanted == waysThere && authz.Held(ctx, visitsRead) != accessv1.Scope_SCOPE_UNSPECIFIED
	if row, verdict, err := s.openByRole(ctx, id, visits); err != nil || row != nil {
		return row, verdict, err
	}
	found, err := s.q.OpenFile(ctx, pg.OnePlan{Sender: s.pool}, db.OpenFileParams{
		ID: id, Actor: caller.Actor(), Issuer: caller.Issuer, Subject: caller.Subject, Visits: visits,
	})
	if err != nil {
		return nil, disclosure.Verdict{}, unopened(ctx, err, id)
	}
	reader, file := readerOf(ctx), fileOf(&found.Customer)
	reader.Staff, reader.Department, file.OwnerDepartment = found.StaffID, found.DepartmentID, found.OwnerDepartmentID
	grant := disclosure.Grant{ID: found.GrantID, BreakGlass: found.BreakGlass, EndTime: found.GrantEndTime}
	verdict := disclosure.WithGrant(disclosure.ByClearance(reader, file), grant, s.now())
	verdict = disclosure.WithVisit(verdict, found.VisitTicketID)
	switch verdict.Basis {
	case disclosure.ByGrant, disclosure.ByBreakGlass, disclosure.ByVisit:
		whole(ctx)
	}
	return &found.Customer, verdict, closed(id, verdict)
}

// openByRole reads a customer for a member of staff whose role alone decides what they see of
// the file, as it does for nearly every read; a nil row says that it does not. Looking up the
// directory, grants and visits too costs more than all else that protects a read, so where
// nobody ever asked for a file, no grant is looked for.
func (s *Server) openByRole(ctx context.Context, id uuid.UUID, visits bool) (*db.Customer, disclosure.Verdict, error) {
	reader := readerOf(ctx)
	if reader.Clearance == disclosure.None || reader.Clearance == disclosure.Masked && visits {
		return nil, disclosure.Verdict{}, nil
	}
	row, err := s.q.GetCustomer(ctx, s.pool, id)
	if err != nil {
		return nil, disclosure.Verdict{}, unopened(ctx, err, id)
	}
	if reader.Clearance == disclosure.Masked && row.AskedFor {
		return nil, disclosure.Verdict{}, nil
	}
	verdict := disclosure.ByClearance(reader, fileOf(&row))
	if verdict.Basis == disclosure.Refused {
		return nil, disclosure.Verdict{}, nil
	}
	return &row, verdict, nil
}

// closed says why a verdict refuses; nil when it does not.
func closed(id uuid.UUID, v disclosure.Verdict) error {
	switch {
	case v.Basis != disclosure.Refused:
		return nil
	case v.Hidden:
		return notFound(id)
	case v.Grant.ID != uuid.Nil:
		return grantExpired(v.Grant.ID, v.Grant.EndTime)
	}
	return grantNeeded()
}

// fileOf is what decides about a file, without the owner's department.
func fileOf(row *db.Customer) disclosure.File {
	f := disclosure.File{Key: typev1.Tier(row.Tier) == typev1.Tier_TIER_KEY}
	if row.OwnerStaffID != nil {
		f.Owner = *row.OwnerStaffID
	}
	return f
}

// place looks up where reader and file stand in the directory, if that matters.
func (s *Server) place(ctx context.Context, r disclosure.Reader, tier int16, owner *uuid.UUID) (disclosure.Reader, disclosure.File, error) {
	f := fileOf(&db.Customer{Tier: tier, OwnerStaffID: owner})
	if f.Owner == uuid.Nil || r.Trusted || !f.Key && r.Sight != disclosure.Own {
		return r, f, nil
	}
	member, err := s.callerMember(ctx)
	if err != nil || member.ID == uuid.Nil {
		return r, f, err
	}
	r.Staff, r.Department = member.ID, member.DepartmentID
	manager, err := directory.Staff(ctx, s.pool, f.Owner)
	if err != nil && !errors.Is(err, directory.ErrUnknown) {
		return r, f, err
	}
	f.OwnerDepartment = manager.DepartmentID
	return r, f, nil
}

// writable refuses a change of a key customer's file to whom it is not open without a grant.
func (s *Server) writable(ctx context.Context, tier int16, owner *uuid.UUID) error {
	reader, file, err := s.place(ctx, readerOf(ctx), tier, owner)
	if err != nil {
		return err
	}
	if disclosure.ByClearance(reader, file).Basis != disclosure.Refused {
		return nil
	}
	return rpcerr.Denied("FILE_CLOSED", rpcerr.T(
		"The files of key customers are changed by their account team, the information administrator and managers; ask one of them.",
		"关键客户的档案只能由其客户团队、信息管理员和经理修改；请联系其中一位。"))
}

// writableByID is writable for a customer not loaded yet.
func (s *Server) writableByID(ctx context.Context, on pg.DBTX, id uuid.UUID) error {
	row, err := s.q.GetStanding(ctx, on, id)
	if err != nil {
		return missingCustomer(err, id)
	}
	return s.writable(ctx, row.Tier, row.OwnerStaffID)
}

// callerMember is the caller in the directory, zero when it does not know them.
func (s *Server) callerMember(ctx context.Context) (directory.Member, error) {
	caller := authn.FromContext(ctx)
	member, err := directory.StaffByIdentity(ctx, s.pool, caller.Issuer, caller.Subject)
	if errors.Is(err, directory.ErrUnknown) {
		return directory.Member{}, nil
	}
	return member, err
}

// person refuses callers that are no people: what rests on somebody's judgement no system
// may do, whatever permissions it was given.
func person(ctx context.Context) (string, error) {
	caller := authn.FromContext(ctx)
	if caller.Kind != authn.Person {
		return "", rpcerr.Denied("PEOPLE_ONLY", rpcerr.T(
			"Only a member of staff may do this, signed in as themselves; a service account may not.",
			"此操作只能由员工本人登录后进行；服务账号不能执行。"))
	}
	return caller.Actor(), nil
}

func grantNeeded() *rpcerr.Error {
	return rpcerr.Denied("GRANT_NEEDED", rpcerr.T(
		"This file is not open to you; ask for it with POST /v1/accessRequests, naming customer and purpose.",
		"该档案未对您开放；请通过 POST /v1/accessRequests 提出查阅申请，注明客户和用途。"))
}

func grantExpired(id uuid.UUID, end time.Time) *rpcerr.Error {
	return rpcerr.Denied("GRANT_EXPIRED", rpcerr.T(
		"Your grant %[1]s ended at %[2]s; ask anew with POST /v1/accessRequests if you still need the file.",
		"您的查阅授权 %[1]s 已于 %[2]s 结束；如仍需查阅，请重新通过 POST /v1/accessRequests 申请。",
		id, end.UTC().Format(time.RFC3339))).With("grant", id.String())
}
