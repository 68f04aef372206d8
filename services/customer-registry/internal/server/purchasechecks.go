package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// CheckPurchase tells another service whether a customer bought what a case names.
func (s *Server) CheckPurchase(ctx context.Context, req *customerv1.CheckPurchaseRequest) (*customerv1.PurchaseCheck, error) {
	if req.GetOrderNumber() == "" && req.GetProductModel() == "" {
		return nil, rpcerr.Invalid("order_number", rpcerr.T(
			"it is empty, and so is product_model; give one of them", "订单号与产品型号均为空；请至少填写一项"))
	}
	customer, out := uuid.MustParse(req.GetCustomerId()), &customerv1.PurchaseCheck{}
	if req.GetOrderNumber() != "" {
		row, err := s.q.FindPurchase(ctx, s.pool, req.GetProductModel(), req.GetOrderNumber(), customer)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("find a purchase: %w", err)
		default:
			out.OrderFound, out.OrderTime, out.Quantity = true, timestamppb.New(row.OrderTime), row.Quantity
			if row.ShipTime != nil {
				out.ShipTime = timestamppb.New(*row.ShipTime)
			}
			if row.DeliveryTime != nil {
				out.DeliveryTime = timestamppb.New(*row.DeliveryTime)
			}
		}
	}
	if req.GetProductModel() == "" {
		return out, nil
	}
	var err error
	if out.ProductFound, err = s.q.IsBought(ctx, s.pool, customer, req.GetProductModel()); err != nil {
		return nil, fmt.Errorf("look for a purchase: %w", err)
	}
	return out, nil
}
