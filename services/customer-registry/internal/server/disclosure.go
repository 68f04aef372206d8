package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// The permissions that are asked for beside the one that let a call in.
const (
	grantsUse   = "grants.use"
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
	case permission == grantsUse:
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

// openByID decides what the caller may read of the file of a customer not loaded yet.
func (s *Server) openByID(ctx context.Context, id uuid.UUID) (disclosure.Verdict, error) {
	if err := own(ctx, id); err != nil {
		return disclosure.Verdict{}, err
	}
	row, err := s.q.GetStanding(ctx, s.pool, id)
	if err != nil {
		return disclosure.Verdict{}, unopened(ctx, err, id)
	}
	return s.open(ctx, id, row.Tier, row.OwnerStaffID)
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

// open decides what the caller may read of a file, by clearance, customer value and team,
// and where these do not suffice by a grant. What it refuses it says why.
func (s *Server) open(ctx context.Context, id uuid.UUID, tier int16, owner *uuid.UUID) (disclosure.Verdict, error) {
	reader, file, err := s.place(ctx, readerOf(ctx), tier, owner)
	if err != nil {
		return disclosure.Verdict{}, err
	}
	verdict := disclosure.ByClearance(reader, file)
	caller := authn.FromContext(ctx)
	if caller.Kind == authn.Person && !(verdict.Basis != disclosure.Refused && verdict.Whole) {
		grant, err := s.q.FindGrant(ctx, s.pool, id, caller.Actor())
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return disclosure.Verdict{}, fmt.Errorf("find a grant: %w", err)
		}
		verdict = disclosure.WithGrant(verdict, disclosure.Grant{ID: grant.ID, BreakGlass: grant.BreakGlass, EndTime: grant.EndTime}, s.now())
	}
	switch {
	case verdict.Basis == disclosure.ByGrant || verdict.Basis == disclosure.ByBreakGlass:
		whole(ctx)
		return verdict, nil
	case verdict.Basis != disclosure.Refused:
		return verdict, nil
	case verdict.Hidden:
		return verdict, notFound(id)
	case verdict.Grant.ID != uuid.Nil:
		return verdict, grantExpired(verdict.Grant.ID, verdict.Grant.EndTime)
	}
	return verdict, grantNeeded()
}

// place looks up where reader and file stand in the directory, if that matters.
func (s *Server) place(ctx context.Context, r disclosure.Reader, tier int16, owner *uuid.UUID) (disclosure.Reader, disclosure.File, error) {
	f := disclosure.File{Key: typev1.Tier(tier) == typev1.Tier_TIER_KEY}
	if owner != nil {
		f.Owner = *owner
	}
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

// recordRead leaves the audit record of one read of a file, with the right used, and counts
// it for the quarterly review. The answer must not leave without it, so its failure is the
// call's.
func (s *Server) recordRead(ctx context.Context, v disclosure.Verdict, objectType string, object, customer uuid.UUID) error {
	method, _ := grpc.Method(ctx)
	caller := authn.FromContext(ctx)
	id, err := newID()
	if err != nil {
		return err
	}
	now := s.now()
	return pg.InBatch(ctx, s.pool, func(b *pg.Batch) error {
		if caller.Kind != authn.Customer {
			if err := s.q.InsertFileRead(ctx, b, db.InsertFileReadParams{
				ID: id, ReadTime: now, Reader: caller.Actor(), CustomerID: customer, Basis: int16(v.Basis),
			}); err != nil {
				return err
			}
		}
		return audit.Insert(ctx, b, s.keys.Derive(audit.KeyLabel),
			audit.Entry{Action: method, ObjectType: objectType, ObjectID: object, CustomerID: customer, Right: v.Right(authz.FromContext(ctx).Right)},
			audit.Origin{Time: now, Actor: caller.Actor(), ActorKind: caller.ActorKind(), RequestID: rpc.RequestID(ctx)})
	})
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
