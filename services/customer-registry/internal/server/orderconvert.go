package server

import (
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// fillOrder writes to a row what the system of origin tells of an order.
func fillOrder(row *db.Order, o *customerv1.Order, currency string) {
	row.OrderTime, row.Status, row.Currency = micro(o.GetOrderTime().AsTime()), o.GetStatus(), currency
	row.AmountUnits, row.AmountNanos = moneyColumns(o.GetAmount())
	row.CostUnits, row.CostNanos = moneyColumns(o.GetCost())
	row.ShipTime, row.DeliveryTime = timePtr(o.GetShipTime()), timePtr(o.GetDeliveryTime())
}

func lineRows(order uuid.UUID, o *customerv1.Order) []db.OrderLine {
	rows := make([]db.OrderLine, 0, len(o.GetLines()))
	for i, line := range o.GetLines() {
		row := db.OrderLine{
			OrderID: order, Line: int32(i + 1), ProductModel: line.GetProductModel(),
			ProductCategory: line.GetProductCategory(), Quantity: line.GetQuantity(),
		}
		row.PriceUnits, row.PriceNanos = moneyColumns(line.GetUnitPrice())
		row.FreightUnits, row.FreightNanos = moneyColumns(line.GetFreight())
		rows = append(rows, row)
	}
	return rows
}

func orderProto(row *db.Order, lines []db.OrderLine) *customerv1.Order {
	out := &customerv1.Order{
		Id: row.ID.String(), CustomerId: row.CustomerID.String(), OrderNumber: row.OrderNumber,
		OrderTime: timestamppb.New(row.OrderTime), Status: row.Status,
		Amount:   moneyProto(row.Currency, row.AmountUnits, row.AmountNanos),
		Cost:     moneyProto(row.Currency, row.CostUnits, row.CostNanos),
		ShipTime: stampPtr(row.ShipTime), DeliveryTime: stampPtr(row.DeliveryTime),
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
	for i := range lines {
		out.Lines = append(out.Lines, &customerv1.OrderLine{
			ProductModel: lines[i].ProductModel, ProductCategory: lines[i].ProductCategory, Quantity: lines[i].Quantity,
			UnitPrice: moneyProto(row.Currency, lines[i].PriceUnits, lines[i].PriceNanos),
			Freight:   moneyProto(row.Currency, lines[i].FreightUnits, lines[i].FreightNanos),
		})
	}
	return out
}

func moneyColumns(m *money.Money) (*int64, *int32) {
	if m == nil {
		return nil, nil
	}
	units, nanos := m.GetUnits(), m.GetNanos()
	return &units, &nanos
}

func moneyProto(currency string, units *int64, nanos *int32) *money.Money {
	if units == nil || nanos == nil {
		return nil
	}
	return &money.Money{CurrencyCode: currency, Units: *units, Nanos: *nanos}
}

func insertOrder(row *db.Order) db.InsertOrderParams {
	return db.InsertOrderParams{
		ID: row.ID, CustomerID: row.CustomerID, OrderNumber: row.OrderNumber, OrderTime: row.OrderTime,
		Status: row.Status, Currency: row.Currency, AmountUnits: row.AmountUnits, AmountNanos: row.AmountNanos,
		CostUnits: row.CostUnits, CostNanos: row.CostNanos, ShipTime: row.ShipTime, DeliveryTime: row.DeliveryTime,
		CreateTime: row.CreateTime, UpdateTime: row.UpdateTime,
	}
}

func updateOrder(row *db.Order) db.UpdateOrderParams {
	return db.UpdateOrderParams{
		ID: row.ID, OrderTime: row.OrderTime, Status: row.Status, Currency: row.Currency,
		AmountUnits: row.AmountUnits, AmountNanos: row.AmountNanos, CostUnits: row.CostUnits, CostNanos: row.CostNanos,
		ShipTime: row.ShipTime, DeliveryTime: row.DeliveryTime, UpdateTime: row.UpdateTime,
	}
}

// fillProduct writes to a row what is known of an installed product.
func fillProduct(row *db.InstalledProduct, p *customerv1.InstalledProduct) {
	row.ProductModel, row.OrderNumber = p.GetProductModel(), p.GetOrderNumber()
	row.ShipTime, row.DeliveryTime = timePtr(p.GetShipTime()), timePtr(p.GetDeliveryTime())
	row.WarrantyEndTime, row.GuaranteeEndTime = timePtr(p.GetWarrantyEndTime()), timePtr(p.GetGuaranteeEndTime())
}

func productProto(row *db.InstalledProduct) *customerv1.InstalledProduct {
	return &customerv1.InstalledProduct{
		Id: row.ID.String(), CustomerId: row.CustomerID.String(), SerialNumber: row.SerialNumber,
		ProductModel: row.ProductModel, OrderNumber: row.OrderNumber, ShipTime: stampPtr(row.ShipTime),
		DeliveryTime: stampPtr(row.DeliveryTime), WarrantyEndTime: stampPtr(row.WarrantyEndTime),
		GuaranteeEndTime: stampPtr(row.GuaranteeEndTime), CreateTime: timestamppb.New(row.CreateTime),
		UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
}

func insertProduct(row *db.InstalledProduct) db.InsertInstalledProductParams {
	return db.InsertInstalledProductParams{
		ID: row.ID, CustomerID: row.CustomerID, SerialNumber: row.SerialNumber, ProductModel: row.ProductModel,
		OrderNumber: row.OrderNumber, ShipTime: row.ShipTime, DeliveryTime: row.DeliveryTime,
		WarrantyEndTime: row.WarrantyEndTime, GuaranteeEndTime: row.GuaranteeEndTime,
		CreateTime: row.CreateTime, UpdateTime: row.UpdateTime,
	}
}

func updateProduct(row *db.InstalledProduct) db.UpdateInstalledProductParams {
	return db.UpdateInstalledProductParams{
		ID: row.ID, ProductModel: row.ProductModel, OrderNumber: row.OrderNumber, ShipTime: row.ShipTime,
		DeliveryTime: row.DeliveryTime, WarrantyEndTime: row.WarrantyEndTime, GuaranteeEndTime: row.GuaranteeEndTime,
		UpdateTime: row.UpdateTime,
	}
}
