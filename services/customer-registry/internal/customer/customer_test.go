package customer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func TestPhone(t *testing.T) {
	for given, want := range map[string]string{
		"":                  "",
		"  ":                "",
		"13800138000":       "+8613800138000",
		"138 0013 8000":     "+8613800138000",
		"+86 138-0013-8000": "+8613800138000",
		"0086 13800138000":  "+8613800138000",
		"010-62345678":      "+861062345678",
		"(027) 8765 4321":   "+862787654321",
		"+1 212 555 0199":   "+12125550199",
		"12":                "!",
		"call me":           "!",
		"13800138000 ext 5": "!",
		"+999 12345678":     "!",
	} {
		got, fault := customer.Phone(given, "CN")
		switch {
		case want == "!":
			if fault == nil {
				t.Errorf("%q became %q, want it refused", given, got)
			} else if strings.Contains(fault.Text.EN+fault.Text.ZH, given) || fault.Field != "phone" {
				t.Errorf("%q: the fault repeats the value or blames another field: %+v", given, fault)
			}
		case fault != nil || got != want:
			t.Errorf("%q: %q, %v; want %q", given, got, fault, want)
		}
	}
	if got, fault := customer.Phone("212 555 0199", "US"); fault != nil || got != "+12125550199" {
		t.Errorf("a national number of another region: %q, %v", got, fault)
	}
}

func TestEmail(t *testing.T) {
	for given, want := range map[string]string{
		"":                                "",
		"Zhang.San@Example.COM":           "zhang.san@example.com",
		" a@b.cn ":                        "a@b.cn",
		"李@例子.中国":                         "李@xn--fsqu00a.xn--fiqs8s",
		"a@bücher.example":                "a@xn--bcher-kva.example",
		"nobody":                          "!",
		"a@b":                             "!",
		"@b.cn":                           "!",
		"a@@b.cn":                         "!",
		"Zhang <a@b.cn>":                  "!",
		"a@b.cn, c@d.cn":                  "!",
		"a b@c.cn":                        "!",
		strings.Repeat("a", 3) + "@-b.cn": "!",
	} {
		got, fault := customer.Email(given)
		if want == "!" {
			if fault == nil {
				t.Errorf("%q became %q, want it refused", given, got)
			}
			continue
		}
		if fault != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", given, got, fault, want)
		}
	}
}

// What was normalised once stays as it is.
func TestNormalFormsAreFixed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phone, fault := customer.Phone(rapid.StringMatching(`1[3-9][0-9]{9}`).Draw(t, "phone"), "CN")
		if fault == nil {
			if again, fault := customer.Phone(phone, "US"); fault != nil || again != phone {
				t.Fatalf("%q became %q (%v)", phone, again, fault)
			}
		}
		email, fault := customer.Email(rapid.StringMatching(`[A-Za-z][A-Za-z0-9._+-]{0,8}@[A-Za-z]{1,8}\.[A-Za-z]{2,4}`).Draw(t, "email"))
		if fault == nil {
			if again, fault := customer.Email(email); fault != nil || again != email {
				t.Fatalf("%q became %q (%v)", email, again, fault)
			}
		}
	})
}

func TestTermsFindEveryPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := customer.Fold(rapid.StringOfN(rapid.RuneFrom([]rune("武汉精工设备有限公司ABcd 123456é")), 1, 20, -1).Draw(t, "name"))
		runes := []rune(name)
		if len(runes) == 0 {
			return
		}
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(runes)).Draw(t, "to")
		q := customer.ParseQuery(string(runes[from:to]), "CN")
		if q.Folded == "" {
			return
		}
		position := rapid.Int64Range(1, 9_000_000).Draw(t, "position")
		terms := customer.Terms(name, position)
		for _, sought := range indexed(q, position) {
			if !slices.Contains(terms, sought) {
				t.Fatalf("%q in %q: term %q is missing from %q", q.Folded, name, sought, terms)
			}
		}
	})
}

// indexed are the terms by which a query finds who stands at a position.
func indexed(q customer.Query, position int64) (terms []string) {
	for _, term := range q.Terms {
		terms = append(terms, fmt.Sprintf("%s/%d", term, position/65536))
	}
	return terms
}

func TestParseQuery(t *testing.T) {
	for text, want := range map[string]customer.Query{
		"":                {},
		"  ":              {},
		"汉":               {Folded: "汉", Terms: []string{"汉"}},
		"武汉":              {Folded: "武汉", Terms: []string{"武汉"}},
		"ＷＵ Han":          {Folded: "wu han", Terms: []string{" h", "an", "ha", "u ", "wu"}},
		"c-202611-000123": {Number: "C-202611-000123"},
		" A@B.cn ":        {Email: "a@b.cn"},
		"13800138000":     {Folded: "13800138000", Terms: []string{"1380", "3800", "8000"}, Phone: "+8613800138000"},
		"8000":            {Folded: "8000", Terms: []string{"8000"}, Last4: "8000"},
		"2008":            {Folded: "2008", Terms: []string{"2008"}, Last4: "2008"},
		"c-2026":          {Folded: "c-2026", Terms: []string{"-2", "2026", "c-"}},
		"a12b":            {Folded: "a12b", Terms: []string{"12", "2b", "a1"}},
		"a@":              {Folded: "a@", Terms: []string{"a@"}},
	} {
		got := customer.ParseQuery(text, "CN")
		if got.Folded != want.Folded || got.Number != want.Number || got.Phone != want.Phone ||
			got.Digits != digits(want) || got.Last4 != want.Last4 || got.Email != want.Email || !slices.Equal(got.Terms, want.Terms) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// digits is what a phone that is none would be found by, in a query that has a phone's form.
func digits(q customer.Query) string {
	if q.Phone == "" {
		return ""
	}
	return "digits:" + strings.TrimPrefix(q.Phone, "+86")
}

func yuan(units int64, nanos int32) *money.Money {
	return &money.Money{CurrencyCode: "CNY", Units: units, Nanos: nanos}
}

func order() *customerv1.Order {
	return &customerv1.Order{
		OrderNumber: "1", OrderTime: timestamppb.New(now.Add(-72 * time.Hour)),
		ShipTime: timestamppb.New(now.Add(-48 * time.Hour)), DeliveryTime: timestamppb.New(now.Add(-24 * time.Hour)),
		Amount: yuan(100, 500_000_000), Cost: yuan(-1, -1),
		Lines: []*customerv1.OrderLine{{ProductModel: "M", Quantity: 1, UnitPrice: yuan(100, 0), Freight: yuan(0, 500_000_000)}},
	}
}

func TestCheckOrder(t *testing.T) {
	currency, faults := customer.CheckOrder(order(), now)
	if currency != "CNY" || len(faults) != 0 {
		t.Errorf("a right order: %q, %v", currency, faults)
	}
	if currency, faults := customer.CheckOrder(&customerv1.Order{OrderTime: timestamppb.New(now)}, now); currency != "" || len(faults) != 0 {
		t.Errorf("an order without amounts: %q, %v", currency, faults)
	}
	for field, spoil := range map[string]func(*customerv1.Order){
		"order_time": func(o *customerv1.Order) {
			o.OrderTime = timestamppb.New(now.Add(time.Second))
			o.ShipTime, o.DeliveryTime = nil, nil
		},
		"ship_time":                      func(o *customerv1.Order) { o.ShipTime = timestamppb.New(now.Add(-73 * time.Hour)) },
		"delivery_time":                  func(o *customerv1.Order) { o.DeliveryTime = timestamppb.New(now.Add(-49 * time.Hour)) },
		"amount":                         func(o *customerv1.Order) { o.Amount.Nanos = -1 },
		"cost":                           func(o *customerv1.Order) { o.Cost.Nanos = 1_000_000_000 },
		"lines[0].unit_price":            func(o *customerv1.Order) { o.Lines[0].UnitPrice = yuan(-1, 0) },
		"lines[0].freight":               func(o *customerv1.Order) { o.Lines[0].Freight = yuan(0, -1) },
		"cost.currency_code":             func(o *customerv1.Order) { o.Cost.CurrencyCode = "USD" },
		"lines[0].freight.currency_code": func(o *customerv1.Order) { o.Lines[0].Freight.CurrencyCode = "EUR" },
	} {
		o := order()
		spoil(o)
		_, faults := customer.CheckOrder(o, now)
		if len(faults) != 1 || faults[0].Field != field || faults[0].Text.EN == "" || faults[0].Text.ZH == "" {
			t.Errorf("%s: %+v, want that field alone", field, faults)
		}
	}
	o := order()
	o.ShipTime, o.DeliveryTime = nil, timestamppb.New(now.Add(-96*time.Hour))
	if _, faults := customer.CheckOrder(o, now); len(faults) != 1 || faults[0].Field != "delivery_time" {
		t.Errorf("delivered before it was placed: %+v", faults)
	}
	o = order()
	o.Amount.CurrencyCode = "yuan"
	if _, faults := customer.CheckOrder(o, now); len(faults) != 1 || faults[0].Field != "amount" {
		t.Errorf("a currency that is none: %+v", faults)
	}
}

func TestCheckInstalledProduct(t *testing.T) {
	at := func(h int) *timestamppb.Timestamp { return timestamppb.New(now.Add(time.Duration(h) * time.Hour)) }
	if faults := customer.CheckInstalledProduct(&customerv1.InstalledProduct{
		ShipTime: at(0), DeliveryTime: at(0), WarrantyEndTime: at(1), GuaranteeEndTime: at(2),
	}); len(faults) != 0 {
		t.Errorf("a right product: %v", faults)
	}
	faults := customer.CheckInstalledProduct(&customerv1.InstalledProduct{
		ShipTime: at(0), DeliveryTime: at(-1), WarrantyEndTime: at(-1), GuaranteeEndTime: at(-1),
	})
	if len(faults) != 3 {
		t.Errorf("%v, want three faults", faults)
	}
	if faults := customer.CheckInstalledProduct(&customerv1.InstalledProduct{DeliveryTime: at(-1)}); len(faults) != 0 {
		t.Errorf("without a shipping date: %v", faults)
	}
}

func TestOrderOccurTime(t *testing.T) {
	o := order()
	for _, c := range []struct {
		name            string
		isNew, historic bool
		want            time.Time
	}{
		{"new", true, false, now.Add(-72 * time.Hour)},
		{"new history", true, true, now.Add(-72 * time.Hour)},
		{"change", false, false, now},
		{"change of history", false, true, now.Add(-24 * time.Hour)},
	} {
		if got := customer.OrderOccurTime(o, c.isNew, c.historic, now); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	o.DeliveryTime = timestamppb.New(now.Add(time.Hour)) // promised, not happened
	if got := customer.OrderOccurTime(o, false, true, now); !got.Equal(now.Add(-48 * time.Hour)) {
		t.Errorf("with a delivery to come: %v", got)
	}
}

func TestTimesOfFiles(t *testing.T) {
	if customer.TierEndTime(now, now) == nil || customer.TierEndTime(now.Add(time.Nanosecond), now) != nil {
		t.Error("a tier must end after now")
	}
	if customer.CreateTime(now, now) != nil || customer.CreateTime(now.Add(time.Nanosecond), now) == nil {
		t.Error("a file must be opened by now")
	}
	shanghai := time.FixedZone("CST", 8*3600)
	if got := customer.Number(time.Date(2026, 12, 1, 7, 0, 0, 0, shanghai), 42); got != "C-202611-000042" {
		t.Errorf("number %s: the month is that of UTC", got)
	}
	if got := customer.Number(now, 1_234_567); got != "C-202611-1234567" {
		t.Errorf("number %s: the sequence grows beyond six digits", got)
	}
}
