package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

const (
	reviewOpen    = int16(customerv1.ReviewState_REVIEW_STATE_OPEN)
	reviewPreview = int16(customerv1.ReviewState_REVIEW_STATE_PREVIEW)
)

// ListCustomerImportErrors lists the faults of the rows of an import.
func (s *Server) ListCustomerImportErrors(ctx context.Context, req *customerv1.ListCustomerImportErrorsRequest) (*customerv1.ListCustomerImportErrorsResponse, error) {
	row, err := s.importByID(ctx, s.pool, "customer_import_id", req.GetCustomerImportId())
	if err != nil {
		return nil, err
	}
	line, position, err := s.lineCursor(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListImportErrors(ctx, s.pool, db.ListImportErrorsParams{ImportID: row.ID, AfterLine: line, AfterPosition: position, Count: size + 1})
	if err != nil {
		return nil, fmt.Errorf("list faults: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.CustomerImportError) string { return fmt.Sprint(r.Line, " ", r.Position) })
	if err != nil {
		return nil, err
	}
	keys, err := s.keys.Subjects(ctx, s.pool, row.ID)
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerImportErrorsResponse{NextPageToken: next}
	for i := range rows {
		plain, err := keys.Open(row.ID, faultPlace(row.ID, rows[i].Line, rows[i].Position), rows[i].Sealed)
		if err != nil {
			return nil, err
		}
		one := &customerv1.CustomerImportError{}
		if err := proto.Unmarshal([]byte(plain), one); err != nil {
			return nil, fmt.Errorf("decode a fault: %w", err)
		}
		en, zh, _ := strings.Cut(one.GetMessage(), "\x00")
		one.Message = rpcerr.Text{EN: en, ZH: zh}.In(rpc.Language(ctx))
		out.CustomerImportErrors = append(out.CustomerImportErrors, one)
	}
	return out, nil
}

// lineCursor reads a page token whose cursor is a line and a place in it.
func (s *Server) lineCursor(ctx context.Context, req proto.Message, token string) (int64, int32, error) {
	cursor, err := s.pages.Open(ctx, req, token)
	if err != nil || cursor == "" {
		return 0, 0, err
	}
	line, position, _ := strings.Cut(cursor, " ")
	l, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("cursor of a page token: %w", err)
	}
	p, err := strconv.ParseInt(position, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("cursor of a page token: %w", err)
	}
	return l, int32(p), nil
}

// ListCustomerImportReviews lists the rows of an import that are to be compared.
func (s *Server) ListCustomerImportReviews(ctx context.Context, req *customerv1.ListCustomerImportReviewsRequest) (*customerv1.ListCustomerImportReviewsResponse, error) {
	row, err := s.importByID(ctx, s.pool, "customer_import_id", req.GetCustomerImportId())
	if err != nil {
		return nil, err
	}
	line, _, err := s.lineCursor(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListImportReviews(ctx, s.pool, row.ID, line, size+1)
	if err != nil {
		return nil, fmt.Errorf("list rows to be compared: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.CustomerImportReview) string { return fmt.Sprint(r.Line, " 0") })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerImportReviewsResponse{NextPageToken: next}
	caller := readerOf(ctx)
	var reads []audit.Act
	for i := range rows {
		one, _, err := s.reviewProto(ctx, s.pool, &rows[i])
		if err != nil {
			return nil, err
		}
		out.CustomerImportReviews = append(out.CustomerImportReviews, one)
		if one.GetProposed() == nil {
			continue
		}
		verdict, err := s.clearance(ctx, caller, rows[i].CustomerID)
		if err != nil {
			return nil, err
		}
		if verdict.Basis == disclosure.Refused {
			one.Proposed = nil
			continue
		}
		reads = append(reads, s.act(ctx, verdict, "customer", rows[i].CustomerID, rows[i].CustomerID))
	}
	// The files are shown whole beside their rows, and so read.
	return out, s.begin(ctx, reads...).Done(ctx)
}

// clearance is what the caller may see of a file by their role and the account team.
func (s *Server) clearance(ctx context.Context, caller disclosure.Reader, id uuid.UUID) (disclosure.Verdict, error) {
	row, err := s.q.GetStanding(ctx, s.pool, id)
	if err != nil {
		return disclosure.Verdict{}, missingCustomer(err, id)
	}
	reader, file, err := s.place(ctx, caller, row.Tier, row.OwnerStaffID)
	if err != nil {
		return disclosure.Verdict{}, err
	}
	return disclosure.ByClearance(reader, file), nil
}

// reviewProto opens a row to be compared and tells what it would change of the customer now.
// The second result is the row's file alone.
func (s *Server) reviewProto(ctx context.Context, on pg.DBTX, row *db.CustomerImportReview) (*customerv1.CustomerImportReview, *customerv1.Customer, error) {
	out := &customerv1.CustomerImportReview{
		Line: row.Line, CustomerId: row.CustomerID.String(), ExternalId: row.ExternalID, State: customerv1.ReviewState(row.State),
	}
	keys, err := s.keys.Subjects(ctx, on, row.CustomerID)
	if err != nil {
		return nil, nil, err
	}
	plain, err := keys.Open(row.CustomerID, reviewPlace(row.ImportID, row.Line), row.Sealed)
	if errors.Is(err, pii.ErrShredded) {
		return out, &customerv1.Customer{}, nil // the person was erased
	}
	if err != nil {
		return nil, nil, err
	}
	proposed := &customerv1.Customer{}
	if err := proto.Unmarshal([]byte(plain), proposed); err != nil {
		return nil, nil, fmt.Errorf("decode a row to be compared: %w", err)
	}
	file, err := s.q.GetCustomer(ctx, on, row.CustomerID)
	if err != nil {
		return nil, nil, missingCustomer(err, row.CustomerID)
	}
	before, err := s.file(ctx, on, &file)
	if err != nil {
		return nil, nil, err
	}
	out.Proposed = proto.CloneOf(before)
	for _, f := range row.Fields {
		was := proto.CloneOf(out.GetProposed())
		if err := overlay(out.GetProposed(), proposed, []string{f}); err != nil {
			return nil, nil, err
		}
		if !proto.Equal(was, out.GetProposed()) {
			out.Changes = append(out.Changes, f)
		}
	}
	customer.PointsOf(out.GetProposed()).Mark(customer.PointsOf(proposed))
	return out, proposed, nil
}

// DecideCustomerImportReview takes a row over or leaves the customer as they are.
func (s *Server) DecideCustomerImportReview(ctx context.Context, req *customerv1.DecideCustomerImportReviewRequest) (*customerv1.CustomerImportReview, error) {
	id, err := parseID("customer_import_id", req.GetCustomerImportId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.CustomerImportReview, error) {
		if _, err := s.q.GetCustomerImport(ctx, tx, id); err != nil {
			return nil, missingImport(err, id)
		}
		row, err := s.q.LockImportReview(ctx, tx, id, req.GetLine())
		if err != nil {
			return nil, missingReview(err, req.GetLine())
		}
		if row.State == reviewPreview {
			return nil, rpcerr.WrongState("IMPORT_WRONG_STATE", rpcerr.T(
				"Line %[1]d is what a dry run shows; begin the import with :run, then decide.", "第 %[1]d 行是试运行的结果；请先用 :run 正式导入，再作决定。", row.Line))
		}
		if row.State != reviewOpen {
			return nil, rpcerr.WrongState("IMPORT_REVIEW_DECIDED", rpcerr.T(
				"Line %[1]d was decided on already.", "第 %[1]d 行已处理。", row.Line))
		}
		out, proposed, err := s.reviewProto(ctx, tx, &row)
		if err != nil {
			return nil, err
		}
		return out, s.decideReview(ctx, tx, id, &row, out, proposed, req.GetAccept())
	})
}

func (s *Server) decideReview(ctx context.Context, tx *write.Tx, id uuid.UUID, row *db.CustomerImportReview, out *customerv1.CustomerImportReview, proposed *customerv1.Customer, accept bool) error {
	out.State = customerv1.ReviewState_REVIEW_STATE_DISMISSED
	if accept {
		out.State = customerv1.ReviewState_REVIEW_STATE_ACCEPTED
		if _, err := s.takeOver(ctx, tx, row.CustomerID, proposed, row.Fields); err != nil {
			return err
		}
	}
	err := s.q.DecideImportReview(ctx, tx, db.DecideImportReviewParams{
		ImportID: id, Line: row.Line, State: int16(out.GetState()), Decider: authn.FromContext(ctx).Actor(),
	})
	if err != nil {
		return fmt.Errorf("decide on a row: %w", err)
	}
	tx.Audit("customer_import", id, map[string]any{"line": row.Line, "state": out.GetState()})
	return nil
}

func missingReview(err error, line int64) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound("import review", strconv.FormatInt(line, 10))
	}
	return fmt.Errorf("read a row to be compared: %w", err)
}
