package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// clearances are those by which files were read in a span, by reader.
func (s *Server) clearances(ctx context.Context, on pg.DBTX, start, end time.Time) (map[string][]*customerv1.ClearanceUse, error) {
	rows, err := s.q.ListClearances(ctx, on, start, end)
	if err != nil {
		return nil, fmt.Errorf("list used clearances: %w", err)
	}
	out := map[string][]*customerv1.ClearanceUse{}
	for _, row := range rows {
		out[row.Reader] = append(out[row.Reader], &customerv1.ClearanceUse{
			Right: row.AccessRight, Reads: row.Reads, LastUseTime: timestamppb.New(row.LastUseTime),
		})
	}
	return out, nil
}

// grantUses are the grants that were in force in a span, the latest first.
func (s *Server) grantUses(ctx context.Context, on pg.DBTX, start, end time.Time) ([]*customerv1.GrantUse, error) {
	rows, err := s.q.ListGrantUses(ctx, on, start, end)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	out := make([]*customerv1.GrantUse, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		use := &customerv1.GrantUse{
			Id: row.ID.String(), BreakGlass: row.BreakGlass, Holder: row.Holder, StaffId: row.StaffID, Decider: row.Decider,
			StartTime: timestamppb.New(row.StartTime), EndTime: timestamppb.New(row.EndTime),
			Revoked: row.Revoked, Outsider: row.Outsider, Uses: row.Uses,
		}
		for _, id := range row.CustomerIds {
			use.CustomerIds = append(use.CustomerIds, id.String())
		}
		if row.Uses > 0 {
			use.LastUseTime = timestamppb.New(row.LastUseTime)
		}
		out = append(out, use)
	}
	return out, nil
}

// ListAccessReviewReaders lists everybody who read in a quarter.
func (s *Server) ListAccessReviewReaders(ctx context.Context, req *customerv1.ListAccessReviewReadersRequest) (*customerv1.ListAccessReviewReadersResponse, error) {
	whole, err := s.pagedReview(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	readers := whole.GetReaders()
	slices.SortFunc(readers, func(a, b *customerv1.ReaderActivity) int { return strings.Compare(a.GetReader(), b.GetReader()) })
	readers, next, err := behind(ctx, s, req, readers, (*customerv1.ReaderActivity).GetReader, strings.Compare)
	return &customerv1.ListAccessReviewReadersResponse{Readers: readers, NextPageToken: next}, err
}

// ListAccessReviewGrants lists every grant of a quarter.
func (s *Server) ListAccessReviewGrants(ctx context.Context, req *customerv1.ListAccessReviewGrantsRequest) (*customerv1.ListAccessReviewGrantsResponse, error) {
	whole, err := s.pagedReview(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	grants, next, err := behind(ctx, s, req, whole.GetGrants(), (*customerv1.GrantUse).GetId, newestFirst)
	return &customerv1.ListAccessReviewGrantsResponse{Grants: grants, NextPageToken: next}, err
}

func (s *Server) pagedReview(ctx context.Context, id string) (*customerv1.AccessReview, error) {
	q, err := s.quarter(id)
	if err != nil {
		return nil, err
	}
	return s.wholeReview(ctx, q)
}

// newestFirst orders ids and quarters, which grow with time.
func newestFirst(a, b string) int { return cmp.Compare(b, a) }

// pagedRequest is what a list takes.
type pagedRequest interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// behind cuts the page that begins behind the token's key out of all items of a list, which are
// in the order of their keys.
func behind[I any](ctx context.Context, s *Server, req pagedRequest, items []I, key func(I) string, order func(a, b string) int) ([]I, string, error) {
	last, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	if last != "" {
		i, found := slices.BinarySearchFunc(items, last, func(item I, last string) int { return order(key(item), last) })
		if found {
			i++
		}
		items = items[i:]
	}
	return cut(ctx, s, req, items, page.Size(req.GetPageSize()), func(item *I) string { return key(*item) })
}

// ListDueAccessReviews lists the quarters that are over and not signed.
func (s *Server) ListDueAccessReviews(ctx context.Context, req *customerv1.ListDueAccessReviewsRequest) (*customerv1.ListDueAccessReviewsResponse, error) {
	signed, err := s.q.ListSignedQuarters(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("list signed quarters: %w", err)
	}
	quarters, err := s.unsigned(ctx, signed)
	if err != nil {
		return nil, err
	}
	quarters, next, err := behind(ctx, s, req, quarters, disclosure.Quarter.String, newestFirst)
	if err != nil {
		return nil, err
	}
	now := s.now()
	out := &customerv1.ListDueAccessReviewsResponse{NextPageToken: next}
	for _, q := range quarters {
		start, end := q.Span(s.disclosure.Zone)
		due := q.Due(s.disclosure.ReviewDays, s.disclosure.Zone)
		out.AccessReviews = append(out.AccessReviews, &customerv1.DueAccessReview{
			Id: q.String(), StartTime: timestamppb.New(start), EndTime: timestamppb.New(end),
			DueTime: timestamppb.New(due), Overdue: !now.Before(due),
		})
	}
	return out, nil
}

// unsigned are the quarters that are over and not among the signed, the newest first.
func (s *Server) unsigned(ctx context.Context, signed []string) ([]disclosure.Quarter, error) {
	now := s.now()
	first, err := s.q.FirstAccess(ctx, s.pool, now)
	if err != nil {
		return nil, fmt.Errorf("look for the first access: %w", err)
	}
	return disclosure.Unsigned(first, now, signed, s.disclosure.Zone), nil
}

// reviewsEvery is how often overdue reviews are looked for; they are due by days.
const reviewsEvery = 10 * time.Minute

// SweepAccessReviews tells of overdue access reviews until ctx ends. Any number of replicas may.
func (s *Server) SweepAccessReviews(ctx context.Context) error {
	return s.every(ctx, reviewsEvery, "sweep of access reviews", s.TellAccessReviews)
}

// TellAccessReviews tells of each quarter whose review is overdue, once.
func (s *Server) TellAccessReviews(ctx context.Context) error {
	told, err := s.q.ListToldQuarters(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("list told quarters: %w", err)
	}
	quarters, err := s.unsigned(ctx, told)
	if err != nil {
		return err
	}
	slices.Reverse(quarters)
	for _, q := range quarters {
		if s.now().Before(q.Due(s.disclosure.ReviewDays, s.disclosure.Zone)) {
			break // those after it are due later
		}
		if err := s.tellAccessReview(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) tellAccessReview(ctx context.Context, q disclosure.Quarter) error {
	return write.Job(ctx, s.write, "access-reviews/overdue", func(ctx context.Context, tx *write.Tx) error {
		first, err := s.q.InsertAccessReviewNotice(ctx, tx, q.String(), s.now())
		if err != nil {
			return fmt.Errorf("insert notice of an access review: %w", err)
		}
		if first == 0 { // another replica told it, or it was signed meanwhile
			tx.Unchanged()
			return nil
		}
		id := s.reviewTold(tx, "accessreview.overdue.v1", q, 1)
		tx.Audit("access_review", id, map[string]string{"overdue": q.String()})
		return nil
	})
}
