package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// ListCustomerSummaries lists one line a customer, newest first.
func (s *Server) ListCustomerSummaries(ctx context.Context, req *customerv1.ListCustomerSummariesRequest) (*customerv1.ListCustomerSummariesResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	filter := db.ListSummariesParams{Before: before, Count: size + 1}
	if err := s.filterSummaries(ctx, req, &filter); err != nil {
		return nil, err
	}
	rows, err := s.q.ListSummaries(ctx, planned{s.pool}, filter)
	if err != nil {
		return nil, fmt.Errorf("list summaries: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.ListSummariesRow) string { return r.CustomerID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerSummariesResponse{NextPageToken: next}
	for i := range rows {
		out.CustomerSummaries = append(out.CustomerSummaries, summaryProto(&rows[i]))
	}
	return out, nil
}

func (s *Server) filterSummaries(ctx context.Context, req *customerv1.ListCustomerSummariesRequest, filter *db.ListSummariesParams) error {
	if tier := int16(req.GetTier()); tier != 0 {
		filter.Tier = &tier
	}
	if status := int16(req.GetStatus()); status != 0 {
		filter.Status = &status
	}
	if region := req.GetRegion(); region != "" {
		filter.Region = &region
	}
	var err error
	if filter.OwnerStaffID, err = idPtr(req.GetOwnerStaffId()); err != nil {
		return err
	}
	if authz.FromContext(ctx).Scope < accessv1.Scope_SCOPE_COMPANY {
		member, err := s.callerMember(ctx)
		if err != nil {
			return err
		}
		staff := member.ID
		if filter.OwnerStaffID != nil && *filter.OwnerStaffID != staff {
			staff = uuid.Nil // another's customers: none
		}
		filter.OwnerStaffID = &staff
	}
	return s.search(ctx, customer.ParseQuery(req.GetQuery(), s.region), filter)
}

// seesPhones tells whether the caller sees the phones of files in plain.
func seesPhones(ctx context.Context) bool {
	return authz.Sees(ctx, (*customerv1.Customer)(nil), "phone") == mask.Shown
}

// search turns a query into what the listing can filter by. Numbers, phones and
// e-mails are looked up first; phones and e-mails also among contacts.
func (s *Server) search(ctx context.Context, q customer.Query, filter *db.ListSummariesParams) error {
	filter.Folded, filter.Grams = q.Folded, q.Grams
	var err error
	switch {
	case q.Number != "":
		filter.Found, err = s.q.FindByNumber(ctx, s.pool, q.Number)
	case q.Email != "":
		filter.Found, err = s.q.FindByEmail(ctx, s.pool, s.keys.Index(fieldEmail, q.Email))
	case q.Phone != "":
		filter.Found, err = s.q.FindByPhone(ctx, s.pool, s.keys.Index(fieldPhone, q.Phone))
	// Who sees 138****5678 could otherwise look for whom the digits belong to, and who
	// sees nothing learn them by trying.
	case q.Last4 != "" && seesPhones(ctx):
		filter.Found, err = s.q.FindByPhoneLast4(ctx, s.pool, s.keys.Index(fieldLast4, q.Last4))
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up by number, phone or e-mail: %w", err)
	}
	if filter.Found == nil {
		filter.Found = []uuid.UUID{} // looked for and not found, unlike not looked for
	}
	return nil
}
