package server

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// ListCustomerSummaries lists one line a customer, newest first.
func (s *Server) ListCustomerSummaries(ctx context.Context, req *customerv1.ListCustomerSummariesRequest) (*customerv1.ListCustomerSummariesResponse, error) {
	filter, err := s.filterSummaries(ctx, req)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	filter.Count = size + 1
	var rows []db.ListSummariesRow
	cursor := func(r *db.ListSummariesRow) string { return r.CustomerID.String() }
	if query := customer.ParseQuery(req.GetQuery(), s.region); query.Empty() {
		if filter.Before, err = s.idCursor(ctx, req, req.GetPageToken(), newestID); err != nil {
			return nil, err
		}
		if rows, err = s.q.ListSummaries(ctx, planned{s.pool}, filter); err != nil {
			return nil, fmt.Errorf("list summaries: %w", err)
		}
	} else {
		before, err := s.positionCursor(ctx, req, req.GetPageToken())
		if err != nil {
			return nil, err
		}
		if rows, err = s.search(ctx, query, filter, before); err != nil {
			return nil, err
		}
		cursor = func(r *db.ListSummariesRow) string { return strconv.FormatInt(r.Position, 10) }
	}
	rows, next, err := cut(ctx, s, req, rows, size, cursor)
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerSummariesResponse{NextPageToken: next}
	for i := range rows {
		out.CustomerSummaries = append(out.CustomerSummaries, summaryProto(&rows[i]))
	}
	return out, nil
}

func (s *Server) filterSummaries(ctx context.Context, req *customerv1.ListCustomerSummariesRequest) (db.ListSummariesParams, error) {
	var filter db.ListSummariesParams
	if tier := int16(req.GetTier()); tier != 0 {
		filter.Tier = &tier
	}
	if status := int16(req.GetStatus()); status != 0 {
		filter.Status = &status
	}
	if region := req.GetRegion(); region != "" {
		filter.Region = &region
	}
	owner, err := idPtr(req.GetOwnerStaffId())
	if err != nil {
		return filter, err
	}
	filter.OwnerStaffID, err = s.ownedBy(ctx, owner)
	return filter, err
}

// positionCursor reads a page token whose cursor is a position; without a token it is before
// every customer.
func (s *Server) positionCursor(ctx context.Context, req proto.Message, token string) (int64, error) {
	cursor, err := s.pages.Open(ctx, req, token)
	if err != nil || cursor == "" {
		return math.MaxInt64, err
	}
	before, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cursor of a page token: %w", err)
	}
	return before, nil
}

// seesPhones tells whether the caller sees the phones of files in plain.
func seesPhones(ctx context.Context) bool {
	return authz.Sees(ctx, (*customerv1.Customer)(nil), "phone") == mask.Shown
}
