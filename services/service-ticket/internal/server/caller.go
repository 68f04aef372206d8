package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// customer is the id of the calling customer, zero for every other caller. A customer
// whose subject is no id is nobody and gets an id that owns nothing.
func customer(ctx context.Context) uuid.UUID {
	caller := authn.FromContext(ctx)
	if caller.Kind != authn.Customer {
		return uuid.Nil
	}
	id, err := uuid.Parse(caller.Subject)
	if err != nil {
		return uuid.Max
	}
	return id
}

// viewerIn is the caller with a grant that reaches as far as the scope, wherever they work.
func viewerIn(ctx context.Context, scope accessv1.Scope) ticket.Viewer {
	caller := authn.FromContext(ctx)
	return ticket.Viewer{
		Customer: customer(ctx), Scope: scope, Actor: caller.Actor(),
		Queue: authz.Held(ctx, "tickets.triage") != accessv1.Scope_SCOPE_UNSPECIFIED,
	}
}

// placed tells whether the caller's reach depends on their place in the directory.
func placed(ctx context.Context, v ticket.Viewer) bool {
	return authn.FromContext(ctx).Kind == authn.Person && !v.Everything()
}

// viewer is the caller with a grant that reaches as far as the scope.
func (s *Server) viewer(ctx context.Context, on db.DBTX, scope accessv1.Scope) (ticket.Viewer, error) {
	v := viewerIn(ctx, scope)
	if !placed(ctx, v) {
		return v, nil
	}
	caller := authn.FromContext(ctx)
	row, err := s.q.GetStaffByIdentity(ctx, on, caller.Issuer, caller.Subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("look the caller up: %w", err)
	}
	v.Staff, v.Department = row.ID, row.DepartmentID
	return v, nil
}

// reach refuses a caller whose grant does not cover the ticket: as if there were none where
// they may not even read it.
func (s *Server) reach(ctx context.Context, on db.DBTX, row *db.Ticket) error {
	return refuse(ctx, row.ID, func(scope accessv1.Scope) (bool, error) { return s.covers(ctx, on, scope, row) })
}

// reachSeen is reach for a ticket that was read with what decides it.
func reachSeen(ctx context.Context, seen *db.GetTicketSeenRow) error {
	return refuse(ctx, seen.Ticket.ID, func(scope accessv1.Scope) (bool, error) {
		v := viewerIn(ctx, scope)
		if placed(ctx, v) {
			v.Staff, v.Department = idValue(seen.StaffID), idValue(seen.StaffDepartmentID)
		}
		return v.Covers(holding(&seen.Ticket)), nil
	})
}

func refuse(ctx context.Context, id uuid.UUID, covers func(accessv1.Scope) (bool, error)) error {
	scope := authz.FromContext(ctx).Scope
	covered, err := covers(scope)
	if err != nil || covered {
		return err
	}
	if read := authz.Held(ctx, "tickets.read"); read > scope {
		if covered, err = covers(read); err != nil {
			return err
		}
	}
	if !covered {
		return ticketNotFound(id)
	}
	return rpcerr.Denied(authz.ReasonDenied, rpcerr.T(
		"You may read ticket %[1]s and not do this to it: it is not yours.",
		"您可以查看工单 %[1]s，但不能执行此操作：该工单不由您负责。", id))
}

func (s *Server) covers(ctx context.Context, on db.DBTX, scope accessv1.Scope, row *db.Ticket) (bool, error) {
	v, err := s.viewer(ctx, on, scope)
	return err == nil && v.Covers(holding(row)), err
}

func holding(row *db.Ticket) ticket.Holding {
	return ticket.Holding{
		Customer: idValue(row.CustomerID), Assignee: idValue(row.AssigneeStaffID),
		Department: idValue(row.DepartmentID), Registrar: row.Registrar, State: ticket.State(row.State),
	}
}

func ticketNotFound(id uuid.UUID) error { return rpcerr.NotFound("ticket", id.String()) }

// authorKind is what a caller is in the history and in comments.
func authorKind(caller authn.Identity) ticketv1.AuthorKind {
	switch caller.Kind {
	case authn.Person:
		return ticketv1.AuthorKind_AUTHOR_KIND_STAFF
	case authn.Customer:
		return ticketv1.AuthorKind_AUTHOR_KIND_CUSTOMER
	default:
		return ticketv1.AuthorKind_AUTHOR_KIND_SYSTEM
	}
}

// callerStaff is the staff id of the caller, nil when the directory does not know them.
func (s *Server) callerStaff(ctx context.Context, on db.DBTX) (*uuid.UUID, error) {
	caller := authn.FromContext(ctx)
	if caller.Kind != authn.Person {
		return nil, nil
	}
	row, err := s.q.GetStaffByIdentity(ctx, on, caller.Issuer, caller.Subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look the caller up: %w", err)
	}
	return &row.ID, nil
}
