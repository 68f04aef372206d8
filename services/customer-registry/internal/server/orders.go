package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

const (
	typeOrderRecorded    = "order.recorded.v1"
	typeProductInstalled = "product.installed.v1"
)

// UpsertOrder records an order or replaces what was recorded under its number.
func (s *Server) UpsertOrder(ctx context.Context, req *customerv1.UpsertOrderRequest) (*customerv1.Order, error) {
	customerID, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	if err := s.checkOrder("order.", req.GetOrder()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Order, error) {
		if err := s.exists(ctx, tx, customerID); err != nil {
			return nil, err
		}
		out, changed, err := s.putOrder(ctx, tx, customerID, req.GetOrder(), req.GetHistoric())
		if err == nil && !changed {
			tx.Unchanged()
		}
		return out, err
	})
}

func (s *Server) checkOrder(prefix string, o *customerv1.Order) error {
	_, faults := customer.CheckOrder(o, s.now())
	return invalid(prefix, faults)
}

// putOrder records a checked order of a customer there is, and tells whether that changed
// anything.
func (s *Server) putOrder(ctx context.Context, tx *write.Tx, customerID uuid.UUID, o *customerv1.Order, historic bool) (*customerv1.Order, bool, error) {
	currency, _ := customer.CheckOrder(o, s.now())
	row, isNew, err := s.claimOrder(ctx, tx, customerID, o, currency)
	if err != nil {
		return nil, false, err
	}
	if row.CustomerID != customerID {
		return nil, false, rpcerr.WrongState("ORDER_OF_OTHER_CUSTOMER", rpcerr.T(
			"The order %[1]q belongs to another customer; an order number belongs to one customer for ever.",
			"订单 %[1]q 属于另一客户；一个订单号永远只属于一个客户。", row.OrderNumber))
	}
	if !isNew {
		before, err := s.order(ctx, tx, row)
		if err != nil {
			return nil, false, err
		}
		next := *row
		fillOrder(&next, o, currency)
		after := orderProto(&next, lineRows(row.ID, o))
		if proto.Equal(before, after) {
			return before, false, nil
		}
		next.UpdateTime, next.Version = s.now(), row.Version+1
		row = &next
		if err := s.q.UpdateOrder(ctx, tx, updateOrder(row)); err != nil {
			return nil, false, fmt.Errorf("update order: %w", err)
		}
		changes := customer.Below("orders."+row.OrderNumber, customer.Diff(before, after))
		if err := s.keepOfFile(ctx, tx, customerID, row.Version, changes); err != nil {
			return nil, false, err
		}
	}
	out, err := s.recordOrder(ctx, tx, row, o, historic, isNew)
	return out, true, err
}

// claimOrder returns the locked row of the order number, new or not, of whatever
// customer.
func (s *Server) claimOrder(ctx context.Context, tx *write.Tx, customerID uuid.UUID, o *customerv1.Order, currency string) (*db.Order, bool, error) {
	row, err := s.q.LockOrder(ctx, tx, o.GetOrderNumber())
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return &row, false, err
	}
	id, err := newID()
	if err != nil {
		return nil, false, err
	}
	now := s.now()
	made := &db.Order{ID: id, CustomerID: customerID, OrderNumber: o.GetOrderNumber(), CreateTime: now, UpdateTime: now, Version: 1}
	fillOrder(made, o, currency)
	inserted, err := s.q.InsertOrder(ctx, tx, insertOrder(made))
	if err != nil {
		return nil, false, fmt.Errorf("insert order: %w", err)
	}
	if inserted == 1 {
		return made, true, nil
	}
	// Another call recorded the number after our look.
	row, err = s.q.LockOrder(ctx, tx, o.GetOrderNumber())
	return &row, false, err
}

// recordOrder writes lines, count and timeline of a new or changed order.
func (s *Server) recordOrder(ctx context.Context, tx *write.Tx, row *db.Order, o *customerv1.Order, historic, isNew bool) (*customerv1.Order, error) {
	var b pg.Batch
	if isNew {
		if err := s.q.CountSummaryOrder(ctx, &b, row.CustomerID); err != nil {
			return nil, err
		}
	} else if err := s.q.DeleteOrderLines(ctx, &b, row.ID); err != nil {
		return nil, err
	}
	lines := lineRows(row.ID, o)
	for i := range lines {
		if err := s.q.InsertOrderLine(ctx, &b, db.InsertOrderLineParams(lines[i])); err != nil {
			return nil, err
		}
	}
	occurred := micro(customer.OrderOccurTime(o, isNew, historic, s.now()))
	entry := db.InsertTimelineEntryParams{
		CustomerID: &row.CustomerID, OccurTime: occurred, Type: typeOrderRecorded, SubjectID: row.ID,
		Number: row.OrderNumber, State: strings.ToLower(row.Status), Historic: historic,
	}
	if err := s.addEntry(ctx, &b, entry); err != nil {
		return nil, err
	}
	if err := pg.Flush(ctx, tx, &b); err != nil {
		return nil, err
	}
	out := orderProto(row, lines)
	tx.Emit(event.Event{
		Type: typeOrderRecorded, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID,
		OccurTime: occurred, Historic: historic,
		Payload: &customerv1.OrderRecorded{
			OrderNumber: row.OrderNumber, OrderTime: out.GetOrderTime(), DeliveryTime: out.GetDeliveryTime(),
		},
	})
	tx.Audit("order", row.ID, out)
	return out, nil
}

// addEntry puts what this service did itself on the timeline.
func (s *Server) addEntry(ctx context.Context, on pg.DBTX, entry db.InsertTimelineEntryParams) error {
	id, err := newID()
	if err != nil {
		return err
	}
	entry.ID = id
	return s.q.InsertTimelineEntry(ctx, on, entry)
}

// order reads the lines of a row.
func (s *Server) order(ctx context.Context, on pg.DBTX, row *db.Order) (*customerv1.Order, error) {
	lines, err := s.q.ListOrderLines(ctx, on, []uuid.UUID{row.ID})
	if err != nil {
		return nil, fmt.Errorf("read order lines: %w", err)
	}
	return orderProto(row, lines), nil
}

// ListOrders lists the orders of a customer, newest recorded first.
func (s *Server) ListOrders(ctx context.Context, req *customerv1.ListOrdersRequest) (*customerv1.ListOrdersResponse, error) {
	customerID, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	_, verdict, err := s.openFile(ctx, customerID, allOfIt)
	if err != nil {
		return nil, err
	}
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	read := s.reading(ctx, verdict, "customer", customerID, customerID)
	rows, err := s.q.ListOrders(ctx, read, customerID, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.Order) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListOrdersResponse{NextPageToken: next}
	if out.Orders, err = s.orders(ctx, rows); err != nil {
		return nil, err
	}
	return out, read.Done(ctx)
}

// orders reads the lines of many rows at once.
func (s *Server) orders(ctx context.Context, rows []db.Order) ([]*customerv1.Order, error) {
	ids := make([]uuid.UUID, 0, len(rows))
	for i := range rows {
		ids = append(ids, rows[i].ID)
	}
	all, err := s.q.ListOrderLines(ctx, s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("read order lines: %w", err)
	}
	lines := make(map[uuid.UUID][]db.OrderLine, len(rows))
	for _, line := range all {
		lines[line.OrderID] = append(lines[line.OrderID], line)
	}
	out := make([]*customerv1.Order, 0, len(rows))
	for i := range rows {
		o := orderProto(&rows[i], lines[rows[i].ID])
		if authn.FromContext(ctx).Kind == authn.Customer {
			o.Cost = nil // what it cost the company is not the customer's to know
		}
		out = append(out, o)
	}
	return out, nil
}
