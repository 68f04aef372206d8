package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// checkWithin bounds how long somebody who complains waits for the registry.
const checkWithin = time.Second

// purchaseChecker asks the customer registry; customerv1.PurchaseCheckServiceClient is one.
type purchaseChecker interface {
	CheckPurchase(ctx context.Context, in *customerv1.CheckPurchaseRequest, opts ...grpc.CallOption) (*customerv1.PurchaseCheck, error)
}

// checked is what the registry said of a purchase, before it is stored.
type checked struct {
	verdict complaintv1.PurchaseVerdict
	found   *customerv1.PurchaseCheck
	at      time.Time
}

// checkPurchase asks the registry, so call it before the transaction. A registry that does not
// answer keeps nobody from complaining: the review asks again.
func (s *Server) checkPurchase(ctx context.Context, customer uuid.UUID, b complaint.Bought) checked {
	out := checked{at: s.now()}
	if b.Named() && customer != uuid.Nil {
		asking, cancel := context.WithTimeout(ctx, checkWithin)
		defer cancel()
		var err error
		out.found, err = s.purchases.CheckPurchase(asking, &customerv1.CheckPurchaseRequest{
			CustomerId: customer.String(), OrderNumber: b.OrderNumber, ProductModel: b.ProductModel,
		})
		if err != nil {
			out.found = nil
			s.log.WarnContext(ctx, "a purchase could not be checked", "customer", customer, "error", pg.Describe(err))
		}
	}
	out.verdict = complaint.Verdict(b, out.found)
	return out
}

// boughtOf is what a stored complaint says the customer bought.
func boughtOf(c db.Complaint) complaint.Bought {
	return complaint.Bought{OrderNumber: c.OrderNumber, ProductModel: c.ProductModel, Quantity: c.Quantity}
}

// checkAgain asks the registry anew about a complaint under review, unless what it said matched.
func (s *Server) checkAgain(ctx context.Context, complaintID uuid.UUID) (*checked, error) {
	c, err := s.q.GetComplaint(ctx, s.pool, complaintID)
	if missing(err) || err == nil && (!boughtOf(c).Named() || c.CustomerID == nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read complaint: %w", err)
	}
	before, err := s.q.SelectPurchases(ctx, s.pool, []uuid.UUID{complaintID})
	if err != nil {
		return nil, fmt.Errorf("read a purchase: %w", err)
	}
	for _, row := range before {
		if complaintv1.PurchaseVerdict(row.Verdict) == complaintv1.PurchaseVerdict_PURCHASE_VERDICT_MATCHES {
			return nil, nil
		}
	}
	out := s.checkPurchase(ctx, *c.CustomerID, boughtOf(c))
	return &out, nil
}

// keep stores what was said; nothing where nothing was named.
func (k checked) keep(ctx context.Context, q *db.Queries, on db.DBTX, complaintID uuid.UUID) error {
	if k.verdict == complaintv1.PurchaseVerdict_PURCHASE_VERDICT_UNSPECIFIED {
		return nil
	}
	return q.SetPurchase(ctx, on, db.SetPurchaseParams{
		ComplaintID: complaintID, Verdict: int16(k.verdict), OrderTime: instantOf(k.found.GetOrderTime()),
		ShipTime: instantOf(k.found.GetShipTime()), DeliveryTime: instantOf(k.found.GetDeliveryTime()),
		Quantity: k.found.GetQuantity(), CheckTime: k.at,
	})
}

func instantOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// bought puts into answers what the registry said of the purchases.
func (s *Server) bought(ctx context.Context, on db.DBTX, ids []uuid.UUID, out []*complaintv1.Complaint) error {
	rows, err := s.q.SelectPurchases(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read purchases: %w", err)
	}
	for _, row := range rows {
		out[slices.Index(ids, row.ComplaintID)].Purchase = &complaintv1.Purchase{
			Verdict: complaintv1.PurchaseVerdict(row.Verdict), OrderTime: stamp(row.OrderTime), ShipTime: stamp(row.ShipTime),
			DeliveryTime: stamp(row.DeliveryTime), OrderedQuantity: row.Quantity, CheckTime: timestamppb.New(row.CheckTime),
		}
	}
	return nil
}
