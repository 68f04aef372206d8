package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// briefReaders is how many readers a review shows; ListAccessReviewReaders gives all.
const briefReaders = 500

// quarterIDs gives each quarter the id under which the audit trail and events name it.
var quarterIDs = uuid.MustParse("01900000-0000-7000-8000-00000000ace5")

// GetAccessReview returns the review of a quarter.
func (s *Server) GetAccessReview(ctx context.Context, req *customerv1.GetAccessReviewRequest) (*customerv1.AccessReview, error) {
	q, err := s.quarter(req.GetId())
	if err != nil {
		return nil, err
	}
	whole, err := s.wholeReview(ctx, q)
	if err != nil {
		return nil, err
	}
	return brief(whole), nil
}

// wholeReview is the review of a quarter with all readers and grants, as it was signed or as it
// is now.
func (s *Server) wholeReview(ctx context.Context, q disclosure.Quarter) (*customerv1.AccessReview, error) {
	signed, err := s.q.GetAccessReview(ctx, s.pool, q.String())
	if err == nil {
		return reviewProto(&signed)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read access review: %w", err)
	}
	return s.computeReview(ctx, s.pool, q)
}

// brief leaves of a review what one answer takes.
func brief(whole *customerv1.AccessReview) *customerv1.AccessReview {
	out := proto.CloneOf(whole)
	out.Readers, out.Grants = out.Readers[:min(len(out.Readers), briefReaders)], nil
	for _, r := range out.Readers {
		r.Clearances = nil
	}
	return out
}

// quarter reads the id of a quarter that has begun.
func (s *Server) quarter(id string) (disclosure.Quarter, error) {
	q, ok := disclosure.ParseQuarter(id)
	start, _ := q.Span(s.disclosure.Zone)
	if !ok || s.now().Before(start) {
		return q, rpcerr.NotFound("access review", id)
	}
	return q, nil
}

func reviewProto(row *db.AccessReview) (*customerv1.AccessReview, error) {
	out := new(customerv1.AccessReview)
	if err := proto.Unmarshal(row.Report, out); err != nil {
		return nil, fmt.Errorf("decode access review %s: %w", row.Quarter, err)
	}
	out.ReaderCount = max(out.GetReaderCount(), int32(len(out.GetReaders()))) // it was not counted at first
	return out, nil
}

// ListAccessReviews lists the signed reviews, newest first.
func (s *Server) ListAccessReviews(ctx context.Context, req *customerv1.ListAccessReviewsRequest) (*customerv1.ListAccessReviewsResponse, error) {
	before, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if before == "" {
		before = "9"
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListAccessReviews(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list access reviews: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.AccessReview) string { return r.Quarter })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListAccessReviewsResponse{NextPageToken: next}
	for i := range rows {
		review, err := reviewProto(&rows[i])
		if err != nil {
			return nil, err
		}
		out.AccessReviews = append(out.AccessReviews, brief(review))
	}
	return out, nil
}

// computeReview counts what happened in a quarter.
func (s *Server) computeReview(ctx context.Context, on pg.DBTX, q disclosure.Quarter) (*customerv1.AccessReview, error) {
	start, end := q.Span(s.disclosure.Zone)
	out := &customerv1.AccessReview{Id: q.String(), StartTime: timestamppb.New(start), EndTime: timestamppb.New(end)}
	requests, err := s.q.CountAccessRequests(ctx, on, start, end)
	if err != nil {
		return nil, fmt.Errorf("count access requests: %w", err)
	}
	out.Requests = &customerv1.RequestCounts{
		Lodged: requests.Lodged, Pending: requests.Pending, Approved: requests.Approved,
		Refused: requests.Refused, Revoked: requests.Revoked, Outsiders: requests.Outsiders,
	}
	glass, err := s.q.CountBreakGlasses(ctx, on, start, end)
	if err != nil {
		return nil, fmt.Errorf("count broken glass: %w", err)
	}
	out.BreakGlasses = &customerv1.BreakGlassCounts{
		Opened: glass.Opened, Justified: glass.Justified, Unjustified: glass.Unjustified, Unreviewed: glass.Unreviewed,
	}
	if out.Extracts, err = s.q.CountExtracts(ctx, on, start, end); err != nil {
		return nil, fmt.Errorf("count extracts: %w", err)
	}
	if out.Unmasks, err = s.q.CountUnmasks(ctx, on, start, end); err != nil {
		return nil, fmt.Errorf("count unmasked values: %w", err)
	}
	if out.Readers, err = s.readers(ctx, on, start, end); err != nil {
		return nil, err
	}
	out.Grants, err = s.grantUses(ctx, on, start, end)
	out.ReaderCount, out.GrantCount = int32(len(out.Readers)), int32(len(out.Grants))
	return out, err
}

func (s *Server) readers(ctx context.Context, on pg.DBTX, start, end time.Time) ([]*customerv1.ReaderActivity, error) {
	rows, err := s.q.ListReaders(ctx, on, s.disclosure.Zone.String(), start, end)
	if err != nil {
		return nil, fmt.Errorf("count reads: %w", err)
	}
	clearances, err := s.clearances(ctx, on, start, end)
	if err != nil {
		return nil, err
	}
	out := make([]*customerv1.ReaderActivity, 0, len(rows))
	busiest := make([]int32, 0, len(rows))
	for _, row := range rows {
		out = append(out, &customerv1.ReaderActivity{
			Reader: row.Reader, StaffId: row.StaffID, Reads: row.Reads, Customers: row.Customers,
			ByRole: row.ByRole, ByTeam: row.ByTeam, ByGrant: row.ByGrant, ByBreakGlass: row.ByBreakGlass, ByTicket: row.ByTicket,
			BusiestDay: row.BusiestDay, LastReadTime: timestamppb.New(row.LastReadTime), Clearances: clearances[row.Reader],
		})
		busiest = append(busiest, row.BusiestDay)
	}
	for i, unusual := range disclosure.Unusual(busiest) {
		out[i].Unusual = unusual
	}
	return out, nil
}

// SignAccessReview keeps the review of a quarter as it is now.
func (s *Server) SignAccessReview(ctx context.Context, req *customerv1.SignAccessReviewRequest) (*customerv1.AccessReview, error) {
	signer, err := person(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.quarter(req.GetId())
	if err != nil {
		return nil, err
	}
	start, end := q.Span(s.disclosure.Zone)
	if now := s.now(); now.Before(end) {
		return nil, rpcerr.WrongState("QUARTER_NOT_OVER", rpcerr.T(
			"The quarter %[1]s ends at %[2]s; sign its review after that.", "季度 %[1]s 于 %[2]s 结束；请在此之后签署。",
			q, end.UTC().Format(time.RFC3339)))
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.AccessReview, error) {
		took, err := s.q.TookPart(ctx, tx, signer, start, end)
		if err != nil {
			return nil, fmt.Errorf("look for the signer's part in the quarter: %w", err)
		}
		var concerned []string
		if took {
			concerned = append(concerned, signer)
		}
		if err := authz.SecondPerson(ctx, concerned...); err != nil {
			return nil, err
		}
		out, err := s.computeReview(ctx, tx, q)
		if err != nil {
			return nil, err
		}
		if open := out.GetBreakGlasses().GetUnreviewed(); open > 0 {
			return nil, rpcerr.WrongState("BREAK_GLASS_UNREVIEWED", rpcerr.T(
				"%[1]d emergency openings of the quarter have no review; have each reviewed first (GET /v1/breakGlasses?unreviewed=true).",
				"该季度有 %[1]d 次紧急查阅尚未复核；请先逐一复核（GET /v1/breakGlasses?unreviewed=true）。", open))
		}
		return s.storeReview(ctx, tx, q, out, &customerv1.ReviewSignature{
			Signer: signer, SignTime: timestamppb.New(s.now()), Findings: req.GetFindings(),
		})
	})
}

func (s *Server) storeReview(ctx context.Context, tx *write.Tx, q disclosure.Quarter, out *customerv1.AccessReview, by *customerv1.ReviewSignature) (*customerv1.AccessReview, error) {
	out.Signature = by
	// The notice that the review is overdue becomes moot, or has been told before.
	first, err := s.q.InsertAccessReviewNotice(ctx, tx, q.String(), by.GetSignTime().AsTime())
	if err != nil {
		return nil, fmt.Errorf("insert notice of an access review: %w", err)
	}
	report, err := proto.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode access review: %w", err)
	}
	stored, err := s.q.InsertAccessReview(ctx, tx, db.InsertAccessReviewParams{
		Quarter: q.String(), Signer: by.GetSigner(), SignTime: by.GetSignTime().AsTime(), Report: report,
	})
	if err != nil {
		return nil, fmt.Errorf("insert access review: %w", err)
	}
	if stored == 0 {
		return nil, rpcerr.WrongState("ACCESS_REVIEW_SIGNED", rpcerr.T(
			"The review of %[1]s was signed already and is kept as it was.", "%[1]s 的查阅审查已签署，按签署时内容保存。", q))
	}
	id := s.reviewTold(tx, "accessreview.signed.v1", q, 2-first)
	tx.Audit("access_review", id, out)
	return brief(out), nil
}

// reviewTold tells of the review of a quarter and gives the id that stands for it.
func (s *Server) reviewTold(tx *write.Tx, kind string, q disclosure.Quarter, version int64) uuid.UUID {
	id := uuid.NewSHA1(quarterIDs, []byte(q.String()))
	tx.Emit(event.Event{Type: kind, SubjectID: id, SubjectVersion: version, Payload: &customerv1.AccessReviewTold{
		Quarter: q.String(), DueTime: timestamppb.New(q.Due(s.disclosure.ReviewDays, s.disclosure.Zone)),
	}})
	return id
}
