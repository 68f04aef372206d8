package server_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func yuan(units int64) *money.Money {
	return &money.Money{CurrencyCode: "CNY", Units: units, Nanos: 500_000_000}
}

func (r *registry) ago(days int) *timestamppb.Timestamp {
	return timestamppb.New(r.Clock.Now().AddDate(0, 0, -days))
}

func (r *registry) order(number string) *customerv1.Order {
	return &customerv1.Order{
		OrderNumber: number, OrderTime: r.ago(9), Status: "SHIPPED", Amount: yuan(1000), Cost: yuan(700), ShipTime: r.ago(7),
		Lines: []*customerv1.OrderLine{
			{ProductModel: "M-1", ProductCategory: "lathe", Quantity: 2, UnitPrice: yuan(400), Freight: yuan(0)},
			{ProductModel: "M-2", Quantity: 1},
		},
	}
}

func (r *registry) erp() context.Context { return r.AsAccount("erp", "orders.write", "orders.read") }

func (r *registry) upsert(customerID string, o *customerv1.Order) (*customerv1.Order, error) {
	return r.orders.UpsertOrder(r.erp(), &customerv1.UpsertOrderRequest{CustomerId: customerID, Order: o})
}

func TestUpsertOrder(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	made, err := r.upsert(owner.GetId(), r.order("S-1"))
	if err != nil {
		t.Fatal(err)
	}
	want := r.order("S-1")
	want.Id, want.CustomerId, want.Etag, want.CreateTime, want.UpdateTime = made.GetId(), owner.GetId(), "1", made.GetCreateTime(), made.GetUpdateTime()
	if !proto.Equal(made, want) {
		t.Errorf("made %v\nwant %v", made, want)
	}
	r.Clock.Advance(time.Hour)
	for range 2 {
		precise := proto.CloneOf(want) // the source keeps nanoseconds, the database does not
		precise.OrderTime.Nanos += 7
		again, err := r.upsert(owner.GetId(), precise)
		if err != nil || !proto.Equal(again, made) {
			t.Errorf("the same again: %v, %v\nwant %v", again, err, made)
		}
	}
	if n := len(r.Events(t)); n != 2 {
		t.Errorf("%d events, want those of customer and order", n)
	}
	change := r.order("S-1")
	change.OrderTime, change.ShipTime = made.GetOrderTime(), made.GetShipTime()
	change.DeliveryTime, change.Status, change.Lines = r.ago(1), "DELIVERED", change.Lines[:1]
	change.Cost = nil
	got, err := r.upsert(owner.GetId(), change)
	if err != nil || got.GetEtag() != "2" || len(got.GetLines()) != 1 || got.GetCost() != nil || got.GetId() != made.GetId() {
		t.Errorf("changed %v, %v", got, err)
	}
	list, err := r.orders.ListOrders(r.erp(), &customerv1.ListOrdersRequest{CustomerId: owner.GetId()})
	if err != nil || len(list.GetOrders()) != 1 || !proto.Equal(list.GetOrders()[0], got) {
		t.Errorf("listed %v, %v\nwant %v", list, err, got)
	}
	events := r.Events(t)
	last := events[len(events)-1]
	payload, err := event.Unpack[*customerv1.OrderRecorded](last)
	if err != nil || len(events) != 3 || last.GetType() != "order.recorded.v1" || last.GetSubjectVersion() != 2 ||
		last.GetCustomerId() != owner.GetId() || payload.GetOrderNumber() != "S-1" || payload.GetDeliveryTime() == nil {
		t.Errorf("events %v, %v", events, err)
	}
	p := r.profile(t, owner.GetId())
	if p.GetOrders() != 1 || len(p.GetTimeline()) != 2 {
		t.Fatalf("profile %v", p)
	}
	if e := p.GetTimeline()[1]; e.GetType() != "order.recorded.v1" || e.GetNumber() != "S-1" || e.GetState() != "shipped" ||
		!e.GetOccurTime().AsTime().Equal(made.GetOrderTime().AsTime()) || e.GetSubjectId() != made.GetId() {
		t.Errorf("first entry %v", e)
	}
}

func TestUpsertOrderHistoric(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	if _, err := r.orders.UpsertOrder(r.erp(), &customerv1.UpsertOrderRequest{CustomerId: owner.GetId(), Order: r.order("H"), Historic: true}); err != nil {
		t.Fatal(err)
	}
	events := r.Events(t)
	if last := events[len(events)-1]; !last.GetHistoric() || !last.GetOccurTime().AsTime().Equal(r.ago(9).AsTime()) {
		t.Errorf("event %v", last)
	}
	if e := r.profile(t, owner.GetId()).GetTimeline()[0]; !e.GetHistoric() {
		t.Errorf("entry %v", e)
	}
}

func TestUpsertOrderRefuses(t *testing.T) {
	r := start(t)
	owner, other := r.make(t, full()), r.make(t, file("other"))
	for field, spoil := range map[string]func(*customerv1.Order){
		"order.order_number":           func(o *customerv1.Order) { o.OrderNumber = "" },
		"order.order_time":             func(o *customerv1.Order) { o.OrderTime = nil },
		"order.ship_time":              func(o *customerv1.Order) { o.ShipTime = r.ago(10) },
		"order.delivery_time":          func(o *customerv1.Order) { o.DeliveryTime = r.ago(8) },
		"order.amount":                 func(o *customerv1.Order) { o.Amount.Nanos = -5 },
		"order.cost.currency_code":     func(o *customerv1.Order) { o.Cost.CurrencyCode = "USD" },
		"order.lines[0].quantity":      func(o *customerv1.Order) { o.Lines[0].Quantity = 0 },
		"order.lines[0].product_model": func(o *customerv1.Order) { o.Lines[0].ProductModel = "" },
		"order.lines[0].unit_price":    func(o *customerv1.Order) { o.Lines[0].UnitPrice.Units = -2; o.Lines[0].UnitPrice.Nanos = 0 },
	} {
		o := r.order("S-1")
		spoil(o)
		_, err := r.upsert(owner.GetId(), o)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	future := r.order("S-1")
	future.OrderTime, future.ShipTime = r.ago(-1), nil
	_, err := r.upsert(owner.GetId(), future)
	refused(t, "future", err, codes.InvalidArgument, "VALIDATION_FAILED", "order.order_time")
	_, err = r.upsert(newID(t), r.order("S-1"))
	refused(t, "unknown customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	if _, err := r.upsert(owner.GetId(), r.order("S-1")); err != nil {
		t.Fatal(err)
	}
	_, err = r.upsert(other.GetId(), r.order("S-1"))
	refused(t, "another customer", err, codes.FailedPrecondition, "ORDER_OF_OTHER_CUSTOMER")
	_, err = r.orders.UpsertOrder(r.As(access.CRMSpecialist), &customerv1.UpsertOrderRequest{CustomerId: owner.GetId(), Order: r.order("S-2")})
	refused(t, "crm", err, codes.PermissionDenied, "PERMISSION_DENIED")
	if n := r.count(t, `SELECT count(*) FROM orders`); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

func TestUpsertOrderRace(t *testing.T) {
	r := start(t)
	customers := []*customerv1.Customer{r.make(t, full()), r.make(t, file("other"))}
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = r.upsert(customers[i%2].GetId(), r.order("RACE")) })
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
		} else {
			refused(t, fmt.Sprint(i), err, codes.FailedPrecondition, "ORDER_OF_OTHER_CUSTOMER")
		}
	}
	// All calls of one customer find the same content, all of the other are refused.
	if won != 4 {
		t.Errorf("%d succeeded, want those of one customer", won)
	}
	if n := r.count(t, `SELECT sum(orders) FROM customer_summaries`); n != 1 {
		t.Errorf("%d orders counted, want 1", n)
	}
	if n := len(r.Events(t)); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func TestListOrders(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	for i := range 5 {
		if _, err := r.upsert(owner.GetId(), r.order(fmt.Sprint("S-", i))); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	req := &customerv1.ListOrdersRequest{CustomerId: owner.GetId(), PageSize: 2}
	for {
		out, err := r.orders.ListOrders(r.AsCustomer(owner.GetId()), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out.GetOrders() {
			got = append(got, o.GetOrderNumber())
			if o.GetCost() != nil {
				t.Errorf("a customer sees the cost %v", o.GetCost())
			}
			if len(o.GetLines()) != 2 || o.GetLines()[0].GetProductModel() != "M-1" {
				t.Errorf("lines %v", o.GetLines())
			}
		}
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if fmt.Sprint(got) != "[S-4 S-3 S-2 S-1 S-0]" {
		t.Errorf("listed %v, want newest first", got)
	}
	_, err := r.orders.ListOrders(r.erp(), &customerv1.ListOrdersRequest{CustomerId: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.orders.ListOrders(r.AsCustomer(newID(t)), &customerv1.ListOrdersRequest{CustomerId: owner.GetId()})
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
}

func (r *registry) product(serial string) *customerv1.InstalledProduct {
	return &customerv1.InstalledProduct{
		SerialNumber: serial, ProductModel: "M-1", OrderNumber: "S-1", ShipTime: r.ago(20), DeliveryTime: r.ago(18),
		WarrantyEndTime: r.ago(-300), GuaranteeEndTime: r.ago(-60),
	}
}

func (r *registry) install(customerID string, p *customerv1.InstalledProduct) (*customerv1.InstalledProduct, error) {
	return r.orders.UpsertInstalledProduct(r.erp(), &customerv1.UpsertInstalledProductRequest{CustomerId: customerID, InstalledProduct: p})
}

func TestUpsertInstalledProduct(t *testing.T) {
	r := start(t)
	owner, other := r.make(t, full()), r.make(t, file("other"))
	made, err := r.install(owner.GetId(), r.product("SN1"))
	if err != nil {
		t.Fatal(err)
	}
	want := r.product("SN1")
	want.Id, want.CustomerId, want.Etag, want.CreateTime, want.UpdateTime = made.GetId(), owner.GetId(), "1", made.GetCreateTime(), made.GetUpdateTime()
	if !proto.Equal(made, want) {
		t.Errorf("made %v\nwant %v", made, want)
	}
	if again, err := r.install(owner.GetId(), r.product("SN1")); err != nil || !proto.Equal(again, made) {
		t.Errorf("the same again: %v, %v", again, err)
	}
	change := r.product("SN1")
	change.ProductModel = "M-9"
	changed, err := r.install(owner.GetId(), change)
	if err != nil || changed.GetEtag() != "2" || changed.GetProductModel() != "M-9" {
		t.Errorf("changed %v, %v", changed, err)
	}
	events := r.Events(t)
	if last := events[len(events)-1]; len(events) != 4 || last.GetType() != "product.installed.v1" || last.GetSubjectVersion() != 2 {
		t.Errorf("%d events, the last %v", len(events), events[len(events)-1])
	}
	list, err := r.orders.ListInstalledProducts(r.AsCustomer(owner.GetId()), &customerv1.ListInstalledProductsRequest{CustomerId: owner.GetId()})
	if err != nil || len(list.GetInstalledProducts()) != 1 || !proto.Equal(list.GetInstalledProducts()[0], changed) {
		t.Errorf("listed %v, %v", list, err)
	}
	_, err = r.install(other.GetId(), r.product("SN1"))
	refused(t, "another customer", err, codes.FailedPrecondition, "SERIAL_NUMBER_OF_OTHER_CUSTOMER")
	_, err = r.install(newID(t), r.product("SN2"))
	refused(t, "unknown customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.orders.ListInstalledProducts(r.erp(), &customerv1.ListInstalledProductsRequest{CustomerId: newID(t)})
	refused(t, "list of an unknown customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	for field, spoil := range map[string]func(*customerv1.InstalledProduct){
		"installed_product.serial_number":      func(p *customerv1.InstalledProduct) { p.SerialNumber = "" },
		"installed_product.product_model":      func(p *customerv1.InstalledProduct) { p.ProductModel = "" },
		"installed_product.delivery_time":      func(p *customerv1.InstalledProduct) { p.DeliveryTime = r.ago(21) },
		"installed_product.warranty_end_time":  func(p *customerv1.InstalledProduct) { p.WarrantyEndTime = r.ago(21) },
		"installed_product.guarantee_end_time": func(p *customerv1.InstalledProduct) { p.GuaranteeEndTime = r.ago(21) },
	} {
		p := r.product("SN3")
		spoil(p)
		_, err := r.install(owner.GetId(), p)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
}

func TestInstallRace(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := r.install(owner.GetId(), r.product("SN")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(r.Events(t)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}
