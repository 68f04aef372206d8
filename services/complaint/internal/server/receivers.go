package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// receiversKind names the receivers in errors and audit records.
const receiversKind = "complaint_receivers"

func receiversMessage(r db.ComplaintReceiver) *complaintv1.ComplaintReceivers {
	return &complaintv1.ComplaintReceivers{
		ReceiverStaffId: text(r.ReceiverStaffID), DeputyStaffId: text(r.DeputyStaffID),
		UpdateTime: timestamppb.New(r.UpdateTime), Etag: etag(r.Version),
	}
}

// GetComplaintReceivers tells who is designated.
func (s *Server) GetComplaintReceivers(ctx context.Context, _ *complaintv1.GetComplaintReceiversRequest) (*complaintv1.ComplaintReceivers, error) {
	row, err := s.q.GetReceivers(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read the receivers: %w", err)
	}
	return receiversMessage(row), nil
}

// SetComplaintReceivers designates the receiver and the deputy.
func (s *Server) SetComplaintReceivers(ctx context.Context, req *complaintv1.SetComplaintReceiversRequest) (*complaintv1.ComplaintReceivers, error) {
	in := req.GetReceivers()
	switch {
	case in.GetReceiverStaffId() == "" && in.GetDeputyStaffId() == "" && in.GetEtag() == "":
		return nil, rpcerr.Invalid("receivers.receiver_staff_id", rpcerr.T(
			"it is empty; name a member of staff, or give the etag as well to designate nobody",
			"未填写专人；请填写人员，如需取消指定请同时提供 etag"))
	case in.GetDeputyStaffId() != "" && in.GetReceiverStaffId() == "":
		return nil, rpcerr.Invalid("receivers.receiver_staff_id", rpcerr.T(
			"it is empty though there is a deputy; name whom they stand in for", "已填写副手但未填写专人；请填写专人"))
	case in.GetDeputyStaffId() != "" && id(in.GetDeputyStaffId()) == id(in.GetReceiverStaffId()):
		return nil, rpcerr.Invalid("receivers.deputy_staff_id", rpcerr.T(
			"it is the receiver; name somebody else, or nobody", "副手与专人相同；请填写其他人员或留空"))
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.ComplaintReceivers, error) {
		row, err := s.q.LockReceivers(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("lock the receivers: %w", err)
		}
		if in.GetEtag() != "" && in.GetEtag() != etag(row.Version) {
			return nil, rpcerr.Stale(receiversKind, row.ID.String())
		}
		row.ReceiverStaffID, row.DeputyStaffID = optional(in.GetReceiverStaffId()), optional(in.GetDeputyStaffId())
		for _, f := range []struct {
			id    *uuid.UUID
			field string
		}{{row.ReceiverStaffID, "receivers.receiver_staff_id"}, {row.DeputyStaffID, "receivers.deputy_staff_id"}} {
			if f.id == nil {
				continue
			}
			if _, err := staff(ctx, tx, *f.id, f.field); err != nil {
				return nil, err
			}
		}
		row.Version++
		row.UpdateTime = s.now()
		if err := s.q.UpdateReceivers(ctx, tx, db.UpdateReceiversParams{
			ReceiverStaffID: row.ReceiverStaffID, DeputyStaffID: row.DeputyStaffID, Version: row.Version, UpdateTime: row.UpdateTime,
		}); err != nil {
			return nil, fmt.Errorf("store the receivers: %w", err)
		}
		out := receiversMessage(row)
		tx.Audit(receiversKind, row.ID, out)
		return out, nil
	})
}

// receives tells whether somebody receives what came in without staff: the designated ones, or
// while there are none the agents of the departments that take complaints.
func (s *Server) receives(ctx context.Context, tx db.DBTX, member directory.Member, agent bool) (bool, error) {
	row, err := s.q.GetReceivers(ctx, tx)
	if err != nil {
		return false, fmt.Errorf("read the receivers: %w", err)
	}
	if row.ReceiverStaffID != nil {
		return slices.Contains([]uuid.UUID{*row.ReceiverStaffID, value(row.DeputyStaffID)}, member.ID), nil
	}
	if !agent {
		return false, nil
	}
	unit, err := directory.Department(ctx, tx, member.DepartmentID)
	if errors.Is(err, directory.ErrUnknown) {
		return false, nil
	}
	return unit.Function == ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE ||
		unit.Function == ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPLAINT_DESK, err
}
