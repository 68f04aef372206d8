package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// typeTierChanged tells that a customer came to another tier, and by what.
const typeTierChanged = "tier.changed.v1"

// GetStanding returns why a customer is in their tier.
func (s *Server) GetStanding(ctx context.Context, req *customerv1.GetStandingRequest) (*customerv1.Standing, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetCustomer(ctx, s.pool, id)
	if err != nil {
		return nil, missingCustomer(err, id)
	}
	return s.standing(ctx, s.pool, &row)
}

// standing puts a customer's standing together.
func (s *Server) standing(ctx context.Context, on pg.DBTX, row *db.Customer) (*customerv1.Standing, error) {
	marks, err := s.marks(ctx, on, row.ID)
	if err != nil {
		return nil, err
	}
	out := marksProto(marks)
	out.Tier, out.OverrideEndTime = typev1.Tier(row.Tier), stampPtr(row.TierEndTime)
	of := tier.Marks{Strategic: marks.Strategic}
	if row.TierEndTime != nil {
		of.Held = typev1.Tier(row.Tier)
	}
	if err := s.addScore(ctx, on, out); err != nil {
		return nil, err
	}
	of.Scored = out.GetScore().GetTier()
	_, out.Reason = of.Tier()
	out.KeyReason = tier.Key(out.GetTier(), marks.Strategic, out.GetScore().GetParts())
	model, err := tierModels.inEffect(ctx, s, on, s.now())
	if err != nil {
		return nil, err
	}
	for _, p := range model.GetPlans() {
		if p.GetTier() == out.GetTier() {
			out.Plan = p
		}
	}
	return out, nil
}

// addScore adds what the last applied run gave.
func (s *Server) addScore(ctx context.Context, on pg.DBTX, out *customerv1.Standing) error {
	last, err := s.q.LastAppliedTierRun(ctx, on)
	if err == nil {
		var score db.TierScore
		if score, err = s.q.GetTierScore(ctx, on, last, uuid.MustParse(out.GetCustomerId())); err == nil {
			run, err := s.q.GetTierRun(ctx, on, last)
			if err != nil {
				return fmt.Errorf("read tier run: %w", err)
			}
			model, err := tierModels.get(ctx, s, on, run.ModelID)
			if err != nil {
				return err
			}
			out.TierRunId = last.String()
			out.Score = scoreProto(model, score.Score, score.Tier, score.Measures, score.Ranks)
			return nil
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return fmt.Errorf("read score: %w", err)
}

// marks reads what was marked by hand; of a customer never marked the zero row.
func (s *Server) marks(ctx context.Context, on pg.DBTX, id uuid.UUID) (*db.CustomerStanding, error) {
	row, err := s.q.GetMarks(ctx, on, id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	row.CustomerID = id
	return &row, nil
}

func marksProto(row *db.CustomerStanding) *customerv1.Standing {
	out := &customerv1.Standing{
		CustomerId: row.CustomerID.String(), Strategic: row.Strategic, StrategicReason: row.StrategicReason,
		ReferrerCustomerId: idString(row.ReferrerID), Etag: etag(row.Version),
	}
	if row.GrowthRating != nil {
		out.GrowthRating = int32(*row.GrowthRating)
	}
	return out
}

// MarkCustomer replaces what was marked by hand and moves the customer if that says so.
func (s *Server) MarkCustomer(ctx context.Context, req *customerv1.MarkCustomerRequest) (*customerv1.Standing, error) {
	id, err := decided(ctx, req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	next, err := marked(req, id)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Standing, error) {
		file, err := s.q.LockCustomer(ctx, tx, id)
		if err != nil {
			return nil, missingCustomer(err, id)
		}
		if next.ReferrerID != nil {
			if found, err := s.q.CustomerExists(ctx, tx, *next.ReferrerID); err != nil || !found {
				return nil, errors.Join(err, referrerUnknown(*next.ReferrerID))
			}
		}
		before, err := s.marks(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if err := current(req.GetEtag(), before.Version, "standing", id); err != nil {
			return nil, err
		}
		return s.putMarks(ctx, tx, &file, before, next)
	})
}

// putMarks stores marks of the customer of a locked row, which moves with them.
func (s *Server) putMarks(ctx context.Context, tx *write.Tx, file *db.Customer, before, next *db.CustomerStanding) (*customerv1.Standing, error) {
	row := *next
	row.Version = before.Version
	if proto.Equal(marksProto(before), marksProto(&row)) {
		tx.Unchanged()
		return s.standing(ctx, tx, file)
	}
	row.UpdateTime, row.Version = s.now(), before.Version+1
	if err := s.q.PutMarks(ctx, tx, db.PutMarksParams(row)); err != nil {
		return nil, fmt.Errorf("store marks: %w", err)
	}
	tx.AuditOf(row.CustomerID, "customer_standing", row.CustomerID, marksProto(&row))
	marked := customer.Below("standing", customer.Diff(marksProto(before), marksProto(&row)))
	if err := s.keepOfFile(ctx, tx, row.CustomerID, row.Version, marked); err != nil {
		return nil, err
	}
	if before.Strategic != row.Strategic {
		moved, err := s.restand(ctx, tx, file, before.Strategic)
		if err != nil {
			return nil, err
		}
		file = moved
	}
	return s.standing(ctx, tx, file)
}

// restand moves a customer who was marked strategic, or is not any more, and gives the row.
// Where they stay in their tier, they may be in it by something else.
func (s *Server) restand(ctx context.Context, tx *write.Tx, file *db.Customer, strategic bool) (*db.Customer, error) {
	ids := []uuid.UUID{file.ID}
	moved, err := s.settle(ctx, tx, ids, nil)
	if err != nil {
		return nil, err
	}
	marks, err := s.marksOf(ctx, tx, ids, nil)
	if err != nil {
		return nil, err
	}
	is, was := marks[file.ID], marks[file.ID]
	was.Strategic = strategic
	row := file
	if len(moved) > 0 {
		row = moved[0].row
	}
	changes := tier.Moved(position(file, was), position(row, is))
	return row, s.keepOfFile(ctx, tx, file.ID, row.Version, changes)
}

// marked reads the marks of a request.
func marked(req *customerv1.MarkCustomerRequest, id uuid.UUID) (*db.CustomerStanding, error) {
	out := &db.CustomerStanding{CustomerID: id, Strategic: req.GetStrategic(), StrategicReason: req.GetStrategicReason()}
	if req.GetStrategic() != (req.GetStrategicReason() != "") {
		return nil, rpcerr.Invalid("strategic_reason", rpcerr.T("give it with strategic and only with it: why the customer is strategic",
			"仅在标记为战略客户时填写，且必须填写原因"))
	}
	if rating := int16(req.GetGrowthRating()); rating != 0 {
		out.GrowthRating = &rating
	}
	var err error
	if out.ReferrerID, err = optionalID("referrer_customer_id", req.GetReferrerCustomerId()); err != nil {
		return nil, err
	}
	if out.ReferrerID != nil && *out.ReferrerID == id {
		return nil, rpcerr.Invalid("referrer_customer_id", rpcerr.T("it is the customer's own id; give that of another customer",
			"填写的是该客户自身的 id；请填写另一客户的 id"))
	}
	return out, nil
}

func referrerUnknown(id uuid.UUID) *rpcerr.Error {
	return rpcerr.Invalid("referrer_customer_id", rpcerr.T("there is no customer %[1]s; give the id of a customer", "没有客户 %[1]s；请填写已有客户的 id", id))
}

// storeTier writes the tier of the locked row to file and summary and tells the others: all of
// the customer they keep, and the move if there was one. run is that whose score it is, nil
// for another reason; times of the events are taken from like.
func (s *Server) storeTier(ctx context.Context, tx *write.Tx, row *db.Customer, from typev1.Tier, reason customerv1.TierReason, run *uuid.UUID, like event.Event) error {
	row.UpdateTime, row.Version = s.now(), row.Version+1
	var b pg.Batch
	err := s.q.SetCustomerTier(ctx, &b, db.SetCustomerTierParams{
		ID: row.ID, Tier: row.Tier, TierReason: row.TierReason, TierEndTime: row.TierEndTime, UpdateTime: row.UpdateTime,
	})
	if err != nil {
		return err
	}
	if err := s.q.SetSummaryTier(ctx, &b, row.Tier, row.ID); err != nil {
		return err
	}
	if err := pg.Flush(ctx, tx, &b); err != nil {
		return err
	}
	emitTier(&tx.Record, row, from, reason, run, like)
	return nil
}

// emitTier tells of a changed tier; times are taken from like.
func emitTier(to *write.Record, row *db.Customer, from typev1.Tier, reason customerv1.TierReason, run *uuid.UUID, like event.Event) {
	emitCustomer(to, customerref.TypeChanged, row, nil, like)
	if int16(from) == row.Tier {
		return
	}
	like.Type, like.SubjectID, like.SubjectVersion, like.CustomerID = typeTierChanged, row.ID, row.Version, row.ID
	like.Payload = &customerv1.TierChanged{From: from, To: typev1.Tier(row.Tier), Reason: reason, TierRunId: idString(run)}
	to.Emit(like)
}
