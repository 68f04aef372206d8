package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

// SetRoute says where tickets of a kind go.
func (s *Server) SetRoute(ctx context.Context, req *ticketv1.SetRouteRequest) (*ticketv1.Route, error) {
	department, err := parseID("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	product := organisation.Product(req.GetProductModel())
	if err := organisation.CheckRoute(req.GetType(), product); err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Route, error) {
		row, err := s.q.SetRoute(ctx, tx, db.SetRouteParams{
			ID: id, Type: int16(req.GetType()), ProductModel: product, DepartmentID: department, UpdateTime: s.now(),
		})
		if err != nil {
			return nil, fmt.Errorf("set route: %w", err)
		}
		tx.Audit("route", row.ID, routeProto(&row))
		return routeProto(&row), nil
	})
	if pg.Violates(err, "routes_department_id_fkey") {
		return nil, unknownDepartment("department_id", department)
	}
	return out, err
}

// DeleteRoute takes a route away.
func (s *Server) DeleteRoute(ctx context.Context, req *ticketv1.DeleteRouteRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, req, "route", req.GetId(), func(tx *write.Tx, id uuid.UUID) (int64, error) {
		return s.q.DeleteRoute(ctx, tx, id)
	})
}

// remove deletes a row that only the company's own arrangements hang on.
func (s *Server) remove(ctx context.Context, req write.Request, kind, given string, del func(tx *write.Tx, id uuid.UUID) (int64, error)) (*emptypb.Empty, error) {
	id, err := parseID("id", given)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(_ context.Context, tx *write.Tx) (*emptypb.Empty, error) {
		n, err := del(tx, id)
		if err != nil {
			return nil, fmt.Errorf("delete %s: %w", kind, err)
		}
		if n == 0 {
			return nil, rpcerr.NotFound(kind, id.String())
		}
		tx.Audit(kind, id, map[string]any{"deleted": true})
		return &emptypb.Empty{}, nil
	})
}

// ListRoutes lists routes in the order they were made.
func (s *Server) ListRoutes(ctx context.Context, req *ticketv1.ListRoutesRequest) (*ticketv1.ListRoutesResponse, error) {
	rows, next, err := byID(ctx, s, req, "routes", func(r db.Route) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.Route, error) {
		return s.q.ListRoutes(ctx, s.pool, after, size)
	})
	out := &ticketv1.ListRoutesResponse{NextPageToken: next}
	for i := range rows {
		out.Routes = append(out.Routes, routeProto(&rows[i]))
	}
	return out, err
}

// byID reads a page of a list in the order of ids.
func byID[R any](ctx context.Context, s *Server, req paged, what string, id func(R) uuid.UUID, read func(after uuid.UUID, size int32) ([]R, error)) ([]R, string, error) {
	after, err := s.cursor(ctx, req)
	if err != nil {
		return nil, "", err
	}
	rows, err := read(after, onceMore(req))
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", what, err)
	}
	return onePage(ctx, s, req, rows, func(r R) string { return id(r).String() })
}

// ResolveRoute tells where a ticket goes.
func (s *Server) ResolveRoute(ctx context.Context, req *ticketv1.ResolveRouteRequest) (*ticketv1.ResolvedRoute, error) {
	department, by, err := s.route(ctx, s.pool, req.GetType(), req.GetProductModel())
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ResolvedRoute{DepartmentId: department.String()}
	if by != uuid.Nil {
		out.RouteId = by.String()
	}
	return out, nil
}

// route gives the department that a ticket goes to, and the route by which it does, zero for
// the default.
func (s *Server) route(ctx context.Context, on db.DBTX, kind ticketv1.TicketType, model string) (department, by uuid.UUID, err error) {
	product := organisation.Product(model)
	rows, err := s.q.ListMatchingRoutes(ctx, on, int16(kind), product)
	if err != nil {
		return uuid.Nil, uuid.Nil, fmt.Errorf("read routes: %w", err)
	}
	routes := make([]organisation.Route, len(rows))
	for i, r := range rows {
		routes[i] = organisation.Route{ID: r.ID, Department: r.DepartmentID, Type: ticketv1.TicketType(r.Type), Product: r.ProductModel}
	}
	if best, ok := organisation.PickRoute(routes, kind, product); ok {
		return best.Department, best.ID, nil
	}
	function := organisation.FunctionFor(kind)
	row, err := s.q.GetDepartmentByFunction(ctx, on, int16(function))
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, uuid.Nil, rpcerr.NotFound("route", function.String())
	}
	if err != nil {
		return uuid.Nil, uuid.Nil, fmt.Errorf("read department by function: %w", err)
	}
	return row.ID, uuid.Nil, nil
}

// CreateSubstitution says who stands in for an absent member of staff.
func (s *Server) CreateSubstitution(ctx context.Context, req *ticketv1.CreateSubstitutionRequest) (*ticketv1.Substitution, error) {
	in := req.GetSubstitution()
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := &db.Substitution{ID: id, Reason: in.GetReason(), CreateTime: s.now()}
	if row.StaffID, err = parseID("substitution.staff_id", in.GetStaffId()); err != nil {
		return nil, err
	}
	if row.SubstituteStaffID, err = parseID("substitution.substitute_staff_id", in.GetSubstituteStaffId()); err != nil {
		return nil, err
	}
	row.StartTime, row.EndTime, row.TakeOver = instant(in.GetStartTime()), instant(in.GetEndTime()), in.GetTakeOver()
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Substitution, error) {
		if err := s.q.LockSubstitutions(ctx, tx); err != nil {
			return nil, fmt.Errorf("lock the substitutions: %w", err)
		}
		if err := s.employed(ctx, tx, "substitution.substitute_staff_id", row.SubstituteStaffID); err != nil {
			return nil, err
		}
		others, err := s.absences(ctx, tx, row.StartTime, row.EndTime)
		if err != nil {
			return nil, err
		}
		if err := organisation.CheckAbsence(absence(row), others); err != nil {
			return nil, err
		}
		if err := s.q.InsertSubstitution(ctx, tx, db.InsertSubstitutionParams(*row)); err != nil {
			return nil, fmt.Errorf("add substitution: %w", err)
		}
		tx.Audit("substitution", id, substitutionProto(row))
		return substitutionProto(row), nil
	})
	if pg.Violates(err, "substitutions_staff_id_fkey") {
		return nil, unknownStaff("substitution.staff_id", row.StaffID)
	}
	return out, err
}

func absence(row *db.Substitution) organisation.Absence {
	return organisation.Absence{Staff: row.StaffID, Substitute: row.SubstituteStaffID, Start: row.StartTime, End: row.EndTime}
}

// absences gives those of a time.
func (s *Server) absences(ctx context.Context, on db.DBTX, from, to time.Time) ([]organisation.Absence, error) {
	rows, err := s.q.ListSubstitutionsDuring(ctx, on, from, to)
	if err != nil {
		return nil, fmt.Errorf("read substitutions: %w", err)
	}
	return absencesOf(rows), nil
}

func absencesOf(rows []db.Substitution) []organisation.Absence {
	out := make([]organisation.Absence, len(rows))
	for i := range rows {
		out[i] = absence(&rows[i])
	}
	return out
}

// employed refuses somebody whom the directory does not know or who has left.
func (s *Server) employed(ctx context.Context, on db.DBTX, field string, id uuid.UUID) error {
	who, err := s.q.GetStaff(ctx, on, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownStaff(field, id)
	}
	if err != nil {
		return fmt.Errorf("read staff: %w", err)
	}
	return notLeft(&who)
}

// notLeft refuses somebody who has left.
func notLeft(who *db.Staff) error {
	if ticketv1.StaffStatus(who.Status) != ticketv1.StaffStatus_STAFF_STATUS_LEFT {
		return nil
	}
	return rpcerr.WrongState("STAFF_OFF_DUTY", rpcerr.T(
		"%[1]s has left the company and gets no work any more; choose somebody else.",
		"%[1]s 已离职，不能再分配工作；请选择其他人员。", who.ID)).With("staff_id", who.ID.String())
}

// DeleteSubstitution takes a substitution back.
func (s *Server) DeleteSubstitution(ctx context.Context, req *ticketv1.DeleteSubstitutionRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, req, "substitution", req.GetId(), func(tx *write.Tx, id uuid.UUID) (int64, error) {
		return s.q.DeleteSubstitution(ctx, tx, id)
	})
}

// ListSubstitutions lists substitutions in the order they were made.
func (s *Server) ListSubstitutions(ctx context.Context, req *ticketv1.ListSubstitutionsRequest) (*ticketv1.ListSubstitutionsResponse, error) {
	of, err := parseOptional("staff_id", req.GetStaffId())
	if err != nil {
		return nil, err
	}
	rows, next, err := byID(ctx, s, req, "substitutions", func(r db.Substitution) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.Substitution, error) {
		if of != uuid.Nil {
			return s.q.ListSubstitutionsOf(ctx, s.pool, of, after, size)
		}
		return s.q.ListSubstitutions(ctx, s.pool, after, size)
	})
	out := &ticketv1.ListSubstitutionsResponse{NextPageToken: next}
	for i := range rows {
		out.Substitutions = append(out.Substitutions, substitutionProto(&rows[i]))
	}
	return out, err
}

// SetStaffStatus says whether a member of staff can take work.
func (s *Server) SetStaffStatus(ctx context.Context, req *ticketv1.SetStaffStatusRequest) (*ticketv1.Staff, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Staff, error) {
		row := new(db.Staff)
		if err := s.lockStaff(ctx, tx, row, id, req.GetEtag()); err != nil {
			return nil, err
		}
		if err := s.ownStaff(ctx, tx, row); err != nil {
			return nil, err
		}
		if err := notLeft(row); err != nil {
			return nil, err
		}
		row.Status = int16(req.GetStatus())
		return s.storeStaff(ctx, tx, row)
	})
}

// ownStaff refuses a caller whose grant does not cover a member of staff.
func (s *Server) ownStaff(ctx context.Context, on db.DBTX, row *db.Staff) error {
	if led, err := s.leads(ctx, on, row); err != nil || led {
		return err
	}
	return rpcerr.Denied(authz.ReasonDenied, rpcerr.T(
		"You may say of yourself, or as a supervisor of your department, who can take work; %[1]s is neither.",
		"您只能设置本人（主管可设置本部门人员）的工作状态；%[1]s 不在此范围内。", row.ID))
}

// leads tells whether a member of staff is within the caller's grant: they themselves, somebody of
// a supervisor's department, or anybody.
func (s *Server) leads(ctx context.Context, on db.DBTX, row *db.Staff) (bool, error) {
	scope := authz.FromContext(ctx).Scope
	if scope == accessv1.Scope_SCOPE_COMPANY {
		return true, nil
	}
	me, err := s.me(ctx, on)
	if err != nil || me == nil {
		return false, err
	}
	if me.ID == row.ID || scope != accessv1.Scope_SCOPE_TEAM {
		return me.ID == row.ID, nil
	}
	// Whoever had left stays with a department that was closed since; who goes on there leads them.
	home, err := s.openDepartment(ctx, on, row.DepartmentID)
	return home == me.DepartmentID, err
}

func routeProto(row *db.Route) *ticketv1.Route {
	return &ticketv1.Route{
		Id: row.ID.String(), Type: ticketv1.TicketType(row.Type), ProductModel: row.ProductModel,
		DepartmentId: row.DepartmentID.String(), UpdateTime: timestamppb.New(row.UpdateTime),
	}
}

func substitutionProto(row *db.Substitution) *ticketv1.Substitution {
	return &ticketv1.Substitution{
		Id: row.ID.String(), StaffId: row.StaffID.String(), SubstituteStaffId: row.SubstituteStaffID.String(),
		StartTime: timestamppb.New(row.StartTime), EndTime: timestamppb.New(row.EndTime), Reason: row.Reason,
		CreateTime: timestamppb.New(row.CreateTime), TakeOver: row.TakeOver, TakeOverTime: stamp(row.TakeOverTime),
	}
}
