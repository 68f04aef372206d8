package server

import (
	"context"
	"errors"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// answering is the department that is to answer for a complaint: the one that its review
// names, or the first there is of those the category goes to.
func (s *Server) answering(ctx context.Context, a *action, req *complaintv1.ReviewComplaintRequest) (uuid.UUID, error) {
	if req.GetDepartmentId() != "" {
		unit, err := department(ctx, a.tx, id(req.GetDepartmentId()), "department_id")
		if err == nil && unit.Closed {
			err = rpcerr.Invalid("department_id", rpcerr.T(
				"department %[1]s is closed and answers for nothing new; give the id of one that is open",
				"部门 %[1]s 已撤销，不再承接新的投诉；请填写未撤销部门的 id", unit.ID))
		}
		return unit.ID, err
	}
	concerned, err := s.concerned(ctx, a)
	if err != nil {
		return uuid.Nil, err
	}
	for _, function := range complaint.Routes(req.GetCategory(), concerned) {
		unit, err := directory.DepartmentByFunction(ctx, a.tx, function)
		if err == nil {
			return unit.ID, nil
		}
		if !errors.Is(err, directory.ErrUnknown) {
			return uuid.Nil, err
		}
	}
	return uuid.Nil, rpcerr.Invalid("department_id", rpcerr.T(
		"it is empty and no department there is answers for this category by default; give the id of the one that does",
		"未填写，且该类别没有默认责任部门；请填写责任部门的 id"))
}

// concerned is what the department does whose member is complained about.
func (s *Server) concerned(ctx context.Context, a *action) (ticketv1.DepartmentFunction, error) {
	if a.c.AccusedStaffID == nil {
		return 0, nil
	}
	member, err := directory.Staff(ctx, a.tx, *a.c.AccusedStaffID)
	if err != nil {
		return 0, err
	}
	unit, err := directory.Department(ctx, a.tx, member.DepartmentID)
	if errors.Is(err, directory.ErrUnknown) {
		return 0, nil
	}
	return unit.Function, err
}
