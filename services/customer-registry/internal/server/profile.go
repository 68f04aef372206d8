package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// GetProfile returns the whole customer and leaves a record of the read.
func (s *Server) GetProfile(ctx context.Context, req *customerv1.GetProfileRequest) (*customerv1.Profile, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	beforeTime, beforeID, err := s.timeCursor(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	customer, read, err := s.readCustomer(ctx, id, allOfIt)
	if err != nil {
		return nil, err
	}
	out := &customerv1.Profile{Customer: customer}
	if err := s.addSummary(ctx, out, req); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListTimeline(ctx, s.pool, db.ListTimelineParams{
		CustomerID: id, BeforeTime: beforeTime, BeforeID: beforeID, Count: size + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list timeline: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.Timeline) string {
		return timeAndID(r.OccurTime, r.ID)
	})
	if err != nil {
		return nil, err
	}
	out.NextPageToken = next
	for i := range rows {
		out.Timeline = append(out.Timeline, entryProto(&rows[i]))
	}
	return out, read.Done(ctx)
}

func (s *Server) addSummary(ctx context.Context, out *customerv1.Profile, req *customerv1.GetProfileRequest) error {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return err
	}
	row, err := s.q.GetSummary(ctx, s.pool, id)
	if err != nil {
		return missingCustomer(err, id)
	}
	out.Summary = summaryProto(&db.ListSummariesRow{
		CustomerID: row.CustomerID, Number: row.Number, Name: row.Name, Kind: row.Kind, Region: row.Region,
		Tier: row.Tier, OwnerStaffID: row.OwnerStaffID, Status: row.Status, LastContactTime: row.LastContactTime,
		OpenTickets: row.OpenTickets, OpenComplaints: row.OpenComplaints,
	})
	out.Orders, out.Scores = row.Orders, row.Scores
	if row.Scores > 0 {
		out.MeanScore = float64(row.ScoreSum) / float64(row.Scores)
	}
	return nil
}

func entryProto(row *db.Timeline) *customerv1.TimelineEntry {
	return &customerv1.TimelineEntry{
		OccurTime: timestamppb.New(row.OccurTime), Type: row.Type, SubjectId: row.SubjectID.String(),
		Number: row.Number, State: row.State, Score: int32(row.Score), Historic: row.Historic,
	}
}
