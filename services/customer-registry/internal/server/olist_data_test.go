//go:build testdata

package server_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// olistRows reads columns of one of the shop's files.
func olistRows(t *testing.T, name string, columns ...string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(os.Getenv("KEFU_TEST_DATA_DIR"), "olist", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	r := csv.NewReader(f)
	var at []int
	var out [][]string
	for {
		row, err := r.Read()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if at == nil {
			for _, c := range columns {
				for i, h := range row {
					if strings.TrimPrefix(h, "\ufeff") == c {
						at = append(at, i)
					}
				}
			}
			if len(at) != len(columns) {
				t.Fatalf("%s lacks one of %v", name, columns)
			}
			continue
		}
		var picked []string
		for _, i := range at {
			picked = append(picked, row[i])
		}
		out = append(out, picked)
	}
}

func cents(t *testing.T, text string) int64 {
	t.Helper()
	var units, rest int64
	whole, fraction, _ := strings.Cut(text, ".")
	if _, err := fmt.Sscan(whole, &units); err != nil {
		t.Fatal(err)
	}
	if fraction = (fraction + "00")[:2]; fraction != "00" {
		if _, err := fmt.Sscan("1"+fraction, &rest); err != nil {
			t.Fatal(err)
		}
		rest -= 100
	}
	return units*100 + rest
}

// olistOrders gives the orders by person, in the order in which persons first appear.
func olistOrders(t *testing.T) (persons []string, orders map[string][]*customerv1.Order) {
	t.Helper()
	person := map[string]string{}
	orders = map[string][]*customerv1.Order{}
	for _, row := range olistRows(t, "customers.csv", "customer_id", "customer_unique_id") {
		person[row[0]] = row[1]
	}
	items, sums := map[string]int32{}, map[string]int64{}
	for _, row := range olistRows(t, "order_items.csv", "order_id", "price", "freight_value") {
		items[row[0]]++
		sums[row[0]] += cents(t, row[1]) + cents(t, row[2])
	}
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range olistRows(t, "orders.csv", "order_id", "customer_id", "order_purchase_timestamp") {
		at, err := time.ParseInLocation(time.DateTime, row[2], zone)
		if err != nil {
			t.Fatal(err)
		}
		o := &customerv1.Order{OrderNumber: row[0], OrderTime: timestamppb.New(at)}
		if n := items[row[0]]; n > 0 {
			sum := sums[row[0]]
			o.Amount = &money.Money{CurrencyCode: "BRL", Units: sum / 100, Nanos: int32(sum%100) * 10_000_000}
			// The shop does not tell what its goods cost: a part that differs by order.
			cost := sum * int64(50+len(persons)%40) / 100
			o.Cost = &money.Money{CurrencyCode: "BRL", Units: cost / 100, Nanos: int32(cost%100) * 10_000_000}
			o.Lines = []*customerv1.OrderLine{{ProductModel: "goods", Quantity: n}}
		}
		who := person[row[1]]
		if _, ok := orders[who]; !ok {
			persons = append(persons, who)
		}
		orders[who] = append(orders[who], o)
	}
	return persons, orders
}

// importPersons makes a customer of each person and gives their ids.
func (r *registry) importPersons(t *testing.T, persons []string) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for from := 0; from < len(persons); from += 500 {
		req := &customerv1.ImportCustomersRequest{Purpose: "first load", Source: "olist"}
		for _, p := range persons[from:min(from+500, len(persons))] {
			req.Records = append(req.Records, &customerv1.CustomerRecord{ExternalId: p, Customer: file("Cliente " + p[:8])})
		}
		out, err := r.customers.ImportCustomers(r.admin(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range out.GetResults() {
			ids[got.GetExternalId()] = got.GetId()
		}
	}
	return ids
}

// streamOrders sends all orders, 500 a message.
func (r *registry) streamOrders(t *testing.T, persons []string, orders map[string][]*customerv1.Order) {
	t.Helper()
	stream, err := r.purchases.StreamPurchases(r.erp())
	if err != nil {
		t.Fatal(err)
	}
	var records []*customerv1.PurchaseRecord
	flush := func() {
		if len(records) == 0 {
			return
		}
		if err := stream.Send(&customerv1.ImportPurchasesRequest{Source: "olist", Historic: true, Records: records}); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range out.GetResults() {
			if got.GetOutcome() != created {
				t.Fatalf("%v", got)
			}
		}
		records = nil
	}
	for _, p := range persons {
		for _, o := range orders[p] {
			if records = append(records, &customerv1.PurchaseRecord{CustomerExternalId: p, Purchase: &customerv1.PurchaseRecord_Order{Order: o}}); len(records) == 500 {
				flush()
			}
		}
	}
	flush()
}

// The further orders of a person hang on the one customer that the person is, and the scores
// of all customers are those of the reference.
func TestDataOlistPurchasesAndScores(t *testing.T) {
	r := start(t)
	persons, orders := olistOrders(t)
	ids := r.importPersons(t, persons)
	r.streamOrders(t, persons, orders)
	repeat := r.count(t, `SELECT count(*) FROM customer_summaries WHERE orders > 1`)
	further := r.count(t, `SELECT sum(orders - 1) FROM customer_summaries WHERE orders > 1`)
	if repeat != 73 || further != 119 {
		t.Errorf("%d further orders of %d customers, want 119 of 73", further, repeat)
	}
	m := tierModel()
	m.CurrencyCode = "BRL"
	m = r.publishModel(t, m)
	asOf := time.Date(2018, 8, 1, 0, 0, 0, 0, time.UTC)
	run := r.preview(t, &customerv1.TierRun{AsOfTime: timestamppb.New(asOf)})
	var list []string
	var buyers []buyer
	for _, p := range persons {
		list, buyers = append(list, ids[p]), append(buyers, buyer{orders: orders[p]})
	}
	r.equalScores(t, run.GetId(), list, buyers, m, asOf)
	t.Logf("%d customers scored, %d move: %v", run.GetScored(), run.GetMoves(), run.GetTiers())
	if done := r.apply(t, run.GetId()); done.GetMoved() != run.GetMoves() || run.GetMoves() < 1000 {
		t.Errorf("%d of %d moved", done.GetMoved(), run.GetMoves())
	}
}
