package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// caller is who calls: what the rules need of them and what they may read.
type caller struct {
	complaint.Caller
	viewer complaint.Viewer
	// customer is zero for anybody else.
	customer uuid.UUID
	// person tells that it is somebody of the company.
	person bool
}

// caller finds out who calls. A person whom the directory does not know is nobody's
// handler or head, whatever the token says.
func (s *Server) caller(ctx context.Context, tx db.DBTX) (caller, error) {
	who := authn.FromContext(ctx)
	role := func(name string) bool { return slices.Contains(who.Roles, name) }
	c := caller{
		Caller: complaint.Caller{Actor: who.Actor()},
		viewer: complaint.Viewer{Actor: who.Actor(), Scope: authz.FromContext(ctx).Scope},
	}
	switch who.Kind {
	case authn.Customer:
		var err error
		if c.customer, err = uuid.Parse(who.Subject); err != nil {
			return c, fmt.Errorf("subject of a customer: %w", err)
		}
		return c, nil
	case authn.Person:
	default:
		return c, nil
	}
	c.ServiceSupervisor, c.ServiceManager = role(access.ServiceSupervisor), role(access.ServiceManager)
	c.CompanyManager = role(access.CompanyManager)
	c.person, c.viewer.Supervisor = true, c.ServiceSupervisor
	c.viewer.Inspector = role(access.QCInspector)
	member, err := directory.StaffByIdentity(ctx, tx, who.Issuer, who.Subject)
	if errors.Is(err, directory.ErrUnknown) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Staff, c.viewer.Staff, c.viewer.Department = member.ID, member.ID, member.DepartmentID
	if c.viewer.Heads, err = s.q.SelectHeadedDepartments(ctx, tx, member.ID); err != nil {
		return c, fmt.Errorf("read the departments somebody heads: %w", err)
	}
	c.viewer.Receiver, err = s.receives(ctx, tx, member, role(access.ServiceAgent))
	return c, err
}

// view is how much of a complaint a caller gets.
type view int

const (
	nothing view = iota
	// whole is for those who work on it.
	whole
	// outer is for the customer: without what is internal.
	outer
	// allegation is for whoever is complained about: without the complainant.
	allegation
)

// see tells how much of the complaint the caller may read.
func (s *Server) see(ctx context.Context, tx db.DBTX, who caller, c db.Complaint) (view, error) {
	if who.customer != uuid.Nil {
		if value(c.CustomerID) == who.customer {
			return outer, nil
		}
		return nothing, nil
	}
	if c.AccusedStaffID != nil && *c.AccusedStaffID == who.Staff {
		return allegation, nil
	}
	if who.viewer.Everything() {
		return whole, nil
	}
	open, err := s.q.MayRead(ctx, tx, c.ID, who.viewer.Keys())
	if err != nil {
		return nothing, fmt.Errorf("read who may read: %w", err)
	}
	if open {
		return whole, nil
	}
	return nothing, nil
}
