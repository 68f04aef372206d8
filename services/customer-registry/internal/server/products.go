package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// UpsertInstalledProduct records a product at a customer's site or replaces what
// was recorded under its serial number.
func (s *Server) UpsertInstalledProduct(ctx context.Context, req *customerv1.UpsertInstalledProductRequest) (*customerv1.InstalledProduct, error) {
	customerID, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	if err := checkProduct("installed_product.", req.GetInstalledProduct()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.InstalledProduct, error) {
		if err := s.exists(ctx, tx, customerID); err != nil {
			return nil, err
		}
		out, changed, err := s.putProduct(ctx, tx, customerID, req.GetInstalledProduct(), false)
		if err == nil && !changed {
			tx.Unchanged()
		}
		return out, err
	})
}

func checkProduct(prefix string, p *customerv1.InstalledProduct) error {
	return invalid(prefix, customer.CheckInstalledProduct(p))
}

// putProduct records a checked product of a customer there is, and tells whether that changed
// anything.
func (s *Server) putProduct(ctx context.Context, tx *write.Tx, customerID uuid.UUID, p *customerv1.InstalledProduct, historic bool) (*customerv1.InstalledProduct, bool, error) {
	row, isNew, err := s.claimProduct(ctx, tx, customerID, p)
	if err != nil {
		return nil, false, err
	}
	if row.CustomerID != customerID {
		return nil, false, rpcerr.WrongState("SERIAL_NUMBER_OF_OTHER_CUSTOMER", rpcerr.T(
			"The product with serial number %[1]q is installed at another customer's; give the serial number of this customer's product.",
			"序列号为 %[1]q 的产品安装在另一客户处；请填写该客户产品的序列号。", row.SerialNumber))
	}
	if !isNew {
		before := productProto(row)
		fillProduct(row, p)
		if proto.Equal(before, productProto(row)) {
			return before, false, nil
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if err := s.q.UpdateInstalledProduct(ctx, tx, updateProduct(row)); err != nil {
			return nil, false, fmt.Errorf("update installed product: %w", err)
		}
		changes := customer.Below("installed_products."+row.SerialNumber, customer.Diff(before, productProto(row)))
		if err := s.keepOfFile(ctx, tx, customerID, row.Version, changes); err != nil {
			return nil, false, err
		}
	}
	out, err := s.recordProduct(ctx, tx, row, historic)
	return out, true, err
}

// claimProduct returns the locked row of the serial number, new or not, of
// whatever customer.
func (s *Server) claimProduct(ctx context.Context, tx *write.Tx, customerID uuid.UUID, p *customerv1.InstalledProduct) (*db.InstalledProduct, bool, error) {
	row, err := s.q.LockInstalledProduct(ctx, tx, p.GetSerialNumber())
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return &row, false, err
	}
	id, err := newID()
	if err != nil {
		return nil, false, err
	}
	now := s.now()
	made := &db.InstalledProduct{ID: id, CustomerID: customerID, SerialNumber: p.GetSerialNumber(), CreateTime: now, UpdateTime: now, Version: 1}
	fillProduct(made, p)
	inserted, err := s.q.InsertInstalledProduct(ctx, tx, insertProduct(made))
	if err != nil {
		return nil, false, fmt.Errorf("insert installed product: %w", err)
	}
	if inserted == 1 {
		return made, true, nil
	}
	row, err = s.q.LockInstalledProduct(ctx, tx, p.GetSerialNumber())
	return &row, false, err
}

func (s *Server) recordProduct(ctx context.Context, tx *write.Tx, row *db.InstalledProduct, historic bool) (*customerv1.InstalledProduct, error) {
	occurred := productOccurTime(row, historic)
	entry := db.InsertTimelineEntryParams{
		CustomerID: &row.CustomerID, OccurTime: occurred, Type: typeProductInstalled, SubjectID: row.ID,
		Number: row.SerialNumber, Historic: historic,
	}
	if err := s.addEntry(ctx, tx, entry); err != nil {
		return nil, fmt.Errorf("insert timeline entry: %w", err)
	}
	tx.Emit(event.Event{
		Type: typeProductInstalled, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID,
		OccurTime: occurred, Historic: historic,
		Payload: &customerv1.ProductInstalled{SerialNumber: row.SerialNumber, ProductModel: row.ProductModel},
	})
	out := productProto(row)
	tx.Audit("installed_product", row.ID, out)
	return out, nil
}

// productOccurTime is when what a product's event tells happened: history at its delivery or
// shipping, where these lie in the past, and anything else now.
func productOccurTime(row *db.InstalledProduct, historic bool) time.Time {
	for _, t := range []*time.Time{row.DeliveryTime, row.ShipTime} {
		if historic && t != nil && t.Before(row.UpdateTime) {
			return *t
		}
	}
	return row.UpdateTime
}

// ListInstalledProducts lists the installed products of a customer, newest
// recorded first.
func (s *Server) ListInstalledProducts(ctx context.Context, req *customerv1.ListInstalledProductsRequest) (*customerv1.ListInstalledProductsResponse, error) {
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
	rows, err := s.q.ListInstalledProducts(ctx, read, customerID, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list installed products: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.InstalledProduct) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListInstalledProductsResponse{NextPageToken: next}
	for i := range rows {
		out.InstalledProducts = append(out.InstalledProducts, productProto(&rows[i]))
	}
	return out, read.Done(ctx)
}
