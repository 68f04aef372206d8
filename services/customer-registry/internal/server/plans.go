package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// lifecycleIDs names the plans, by the number of their lifecycle.
var lifecycleIDs = []string{"", "potential", "new", "long-term", "lapsed"}

// ListMaintenancePlans lists how customers of each lifecycle are looked after.
func (s *Server) ListMaintenancePlans(ctx context.Context, req *customerv1.ListMaintenancePlansRequest) (*customerv1.ListMaintenancePlansResponse, error) {
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	after := 0
	if cursor != "" {
		if after, err = strconv.Atoi(cursor); err != nil {
			return nil, fmt.Errorf("cursor of a page token: %w", err)
		}
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListMaintenancePlans(ctx, s.pool, int16(after), size+1)
	if err != nil {
		return nil, fmt.Errorf("list maintenance plans: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.MaintenancePlan) string { return strconv.Itoa(int(r.Lifecycle)) })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListMaintenancePlansResponse{NextPageToken: next}
	for i := range rows {
		out.MaintenancePlans = append(out.MaintenancePlans, planProto(&rows[i]))
	}
	return out, nil
}

// SetMaintenancePlan sets the plan of one lifecycle.
func (s *Server) SetMaintenancePlan(ctx context.Context, req *customerv1.SetMaintenancePlanRequest) (*customerv1.MaintenancePlan, error) {
	lifecycle := int16(slices.Index(lifecycleIDs, req.GetId()))
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.MaintenancePlan, error) {
		row, err := s.q.LockMaintenancePlan(ctx, tx, lifecycle)
		if err != nil {
			return nil, fmt.Errorf("lock maintenance plan %s: %w", req.GetId(), err)
		}
		if req.GetEtag() != "" && req.GetEtag() != etag(row.Version) {
			return nil, rpcerr.Stale("maintenance_plan", req.GetId())
		}
		if slices.Equal(row.Actions, req.GetActions()) && row.ContactIntervalDays == req.GetContactIntervalDays() {
			tx.Unchanged()
			return planProto(&row), nil
		}
		row.Actions, row.ContactIntervalDays = req.GetActions(), req.GetContactIntervalDays()
		row.UpdateTime, row.Version = s.now(), row.Version+1
		err = s.q.UpdateMaintenancePlan(ctx, tx, db.UpdateMaintenancePlanParams{
			Lifecycle: lifecycle, Actions: row.Actions, ContactIntervalDays: row.ContactIntervalDays, UpdateTime: row.UpdateTime,
		})
		if err != nil {
			return nil, fmt.Errorf("update maintenance plan: %w", err)
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		out := planProto(&row)
		tx.Audit("maintenance_plan", id, out)
		return out, nil
	})
}

func planProto(row *db.MaintenancePlan) *customerv1.MaintenancePlan {
	return &customerv1.MaintenancePlan{
		Id: lifecycleIDs[row.Lifecycle], Lifecycle: customerv1.Lifecycle(row.Lifecycle), Actions: row.Actions,
		ContactIntervalDays: row.ContactIntervalDays, UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
}
