package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// ListOverdueFiles lists the files whose review is due, the longest overdue first.
func (s *Server) ListOverdueFiles(ctx context.Context, req *customerv1.ListOverdueFilesRequest) (*customerv1.ListOverdueFilesResponse, error) {
	at, after := time.Time{}, uuid.Nil
	if req.GetPageToken() != "" {
		var err error
		if at, after, err = s.timeCursor(ctx, req, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	size := page.Size(req.GetPageSize())
	filter := db.ListOverdueFilesParams{Now: s.now(), AfterTime: at, AfterID: after, Count: size + 1}
	var err error
	if filter.ResponsibleStaffID, err = optionalID("responsible_staff_id", req.GetResponsibleStaffId()); err != nil {
		return nil, err
	}
	if filter.OwnerStaffID, err = s.ownedBy(ctx, nil); err != nil {
		return nil, err
	}
	rows, err := s.q.ListOverdueFiles(ctx, planned{s.pool}, filter)
	if err != nil {
		return nil, fmt.Errorf("list overdue files: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.ListOverdueFilesRow) string { return timeAndID(r.ReviewDueTime, r.ID) })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListOverdueFilesResponse{NextPageToken: next}
	for i := range rows {
		row := &rows[i]
		out.OverdueFiles = append(out.OverdueFiles, &customerv1.OverdueFile{
			CustomerId: row.ID.String(), Number: row.Number, Name: row.Name, OwnerStaffId: idString(row.OwnerStaffID),
			ResponsibleStaffId: idString(row.ResponsibleStaffID), UpdateIntervalDays: row.UpdateIntervalDays,
			ReviewDueTime: timestamppb.New(row.ReviewDueTime),
		})
	}
	return out, nil
}

// ownedBy narrows a list to an account manager: the one asked for, nil for all, and for whom
// only their own customers are open to themselves.
func (s *Server) ownedBy(ctx context.Context, asked *uuid.UUID) (*uuid.UUID, error) {
	if authz.FromContext(ctx).Scope >= accessv1.Scope_SCOPE_COMPANY {
		return asked, nil
	}
	member, err := s.callerMember(ctx)
	if err != nil {
		return nil, err
	}
	staff := member.ID
	if asked != nil && *asked != staff {
		staff = uuid.Nil // another's customers: none
	}
	return &staff, nil
}
