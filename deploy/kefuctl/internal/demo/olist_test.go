package demo

import (
	"strings"
	"testing"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

func shopFiles() map[string]string {
	return map[string]string{
		"geolocation.csv": "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng\n" +
			"01000,-23.0,-46.0\n01000,-23.4,-46.4\n01000,10.0,10.0\n02000,-20.0,-40.0\n02000,-21.0,-41.0\n",
		"product_category_translation.csv": "\ufeffproduct_category_name,product_category_name_english\nbebes,baby\n",
		"products.csv":                     "product_id,product_category_name\np1,bebes\np2,pc_gamer\np3,\n",
		"customers.csv": "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state\n" +
			"a1,person-one-x,01000,sao paulo,SP\na2,person-two-x,09999,nowhere,RJ\na3,person-one-x,02000,campinas,SP\n",
		"order_items.csv": "order_id,order_item_id,product_id,price,freight_value\no1,1,p1,99.90,27.65\no1,2,p2,0.10,0.05\no3,1,p3,5,0\n",
		"orders.csv": "order_id,customer_id,order_status,order_purchase_timestamp,order_delivered_carrier_date,order_delivered_customer_date\n" +
			"o1,a1,delivered,2017-07-09 21:57:05,2017-07-11 14:58:04,2017-07-26 10:57:55\n" +
			"o2,a2,canceled,2017-12-09 10:00:00,,\n" +
			"o3,a3,delivered,2018-02-17 23:30:00,2018-02-01 00:00:00,2018-03-01 00:00:00\n",
		"order_reviews.csv": "review_id,order_id,review_score,review_comment_title,review_comment_message,review_creation_date,review_answer_timestamp\n" +
			"r1,o1,5,,\"Muito bom,\nrecomendo \"\"sempre\"\"\",2017-07-27 00:00:00,2017-07-28 01:02:03\n" +
			"r1,o2,1,Ruim,,2017-10-15 00:00:00,2017-10-16 00:00:00\n",
	}
}

func TestReadOlist(t *testing.T) {
	shop, err := readOlist(folder(t, shopFiles()))
	if err != nil {
		t.Fatal(err)
	}
	if len(shop.customers) != 2 || shop.unplaced != 1 || shop.mixed != 1 || shop.empty != 1 || shop.items != 3 || shop.twice != 1 || shop.skipped != 1 {
		t.Fatalf("got %+v", shop)
	}
	one := shop.customers[0]
	address := one.GetCustomer().GetAddress()
	if one.GetExternalId() != "person-one-x" || one.GetCustomer().GetName() != "Cliente person-o" || one.GetCustomer().GetLifecycle() != customerv1.Lifecycle_LIFECYCLE_LONG_TERM {
		t.Errorf("first person: %v", one)
	}
	// The latest order's postcode, the mean of its two points, and the first order's time.
	if address.GetPostalCode() != "02000" || address.GetPosition().GetLatitude() != -20.5 || stamp(one.GetCreateTime().AsTime()) != "2017-07-10T00:57:05Z" {
		t.Errorf("address %v, opened %s", address, stamp(one.GetCreateTime().AsTime()))
	}
	if shop.customers[1].GetCustomer().GetAddress().GetPosition() != nil {
		t.Error("a position came from nowhere")
	}

	first, third := shop.orders[0].order, shop.orders[2].order
	if first.GetAmount().GetUnits() != 127 || first.GetAmount().GetNanos() != 700000000 || first.GetLines()[0].GetProductCategory() != "baby" || first.GetLines()[1].GetProductCategory() != "pc_gamer" {
		t.Errorf("first order: %v", first)
	}
	if shop.orders[1].order.GetAmount() != nil || shop.orders[2].person != "person-one-x" {
		t.Error("an order without items has an amount, or an order lost its person")
	}
	if third.GetShipTime() != nil || third.GetDeliveryTime() == nil || stamp(third.GetOrderTime().AsTime()) != "2018-02-18T01:30:00Z" {
		t.Errorf("third order: %v", third)
	}

	if shop.answers[0].ID != "r1/o1" || shop.answers[1].ID != "r1/o2" || shop.answers[1].person != "person-two-x" {
		t.Errorf("answers: %+v", shop.answers)
	}
	if got := shop.answers[0].record.GetResponses(); len(got) != 2 || got[1].GetText() != "Muito bom,\nrecomendo \"sempre\"" {
		t.Errorf("responses: %v", got)
	}
	if at := shop.answers[1].origin; at.Line != 4 {
		t.Errorf("the second review stands on line 4, not %d", at.Line)
	}
	if len(shop.notes) != 4 {
		t.Errorf("notes: %v", shop.notes)
	}
}

func TestReadOlistRefusesWhatItCannotRead(t *testing.T) {
	for _, tt := range []struct{ file, old, new, want string }{
		{"orders.csv", "2017-12-09 10:00:00", "yesterday", "orders.csv line 3"},
		{"orders.csv", "o2,a2", "o2,a9", "customer a9"},
		{"order_items.csv", "99.90", "much", "order_items.csv line 2"},
		{"order_reviews.csv", "r1,o1,5", "r1,o1,five", "order_reviews.csv line 2"},
		{"geolocation.csv", "-23.4", "south", "geolocation.csv line 3"},
		{"orders.csv", "o2,a2", "o2,a1", "person person-two-x has no order"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			files := shopFiles()
			files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			_, err := readOlist(folder(t, files))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}
