package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func (r *registry) list(t *testing.T, ctx context.Context, req *customerv1.ListCustomerSummariesRequest) []string {
	t.Helper()
	var names []string
	for {
		out, err := r.customers.ListCustomerSummaries(ctx, req)
		if err != nil {
			t.Fatalf("ListCustomerSummaries(%v): %v", req, err)
		}
		for _, s := range out.GetCustomerSummaries() {
			names = append(names, s.GetName())
		}
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			return names
		}
	}
}

func TestSearchSummaries(t *testing.T) {
	r := start(t)
	phone := file("武汉精工设备有限公司")
	phone.Phone = "13800138000"
	mail := file("Shanghai Lathe 上海机床")
	mail.Email = "info@lathe.example"
	a, _ := r.make(t, phone), r.make(t, mail)
	c := r.make(t, file("深圳2008科技"))
	r.addContact(t, c.GetId(), &customerv1.Contact{Name: "王五", Phone: "13912342008", Email: "wang@sz.example"})
	for query, want := range map[string][]string{
		"":                             {"深圳2008科技", "Shanghai Lathe 上海机床", "武汉精工设备有限公司"},
		"武":                            {"武汉精工设备有限公司"},
		"武汉":                           {"武汉精工设备有限公司"},
		"汉精工设":                         {"武汉精工设备有限公司"},
		"汉武":                           nil,
		"精设":                           nil,
		"LATHE":                        {"Shanghai Lathe 上海机床"},
		"hai  lat":                     {"Shanghai Lathe 上海机床"},
		"ＬＡＴＨＥ":                        {"Shanghai Lathe 上海机床"},
		"%":                            nil,
		"_":                            nil,
		a.GetNumber():                  {"武汉精工设备有限公司"},
		strings.ToLower(a.GetNumber()): {"武汉精工设备有限公司"},
		"C-202611-999999":              nil,
		"138 0013 8000":                {"武汉精工设备有限公司"},
		"+8613800138000":               {"武汉精工设备有限公司"},
		"13912342008":                  {"深圳2008科技"},
		"13900000000":                  nil,
		"INFO@lathe.example":           {"Shanghai Lathe 上海机床"},
		"wang@sz.example":              {"深圳2008科技"},
		"no@where.example":             nil,
		"8000":                         {"武汉精工设备有限公司"},
		"2008":                         {"深圳2008科技"},
		"0138000":                      nil,
	} {
		got := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: query})
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
}

// Any part of what a customer is known by finds it, and no longer does when it is gone.
func TestSearchByNumberContactRegionAndTag(t *testing.T) {
	r := start(t)
	c := file("武汉精工设备有限公司")
	c.Region, c.Tags = "华中", []string{"展会", "VIP"}
	made, other := r.make(t, c), r.make(t, file("别家"))
	contact := r.addContact(t, made.GetId(), &customerv1.Contact{Name: "Ｏｕｙａｎｇ 娜娜"})
	finds := func(query string, want ...string) {
		t.Helper()
		if got := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: query}); !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
	number := made.GetNumber()
	finds(number[len(number)-4:], made.GetName())
	finds(strings.ToLower(number[:len(number)-1])+other.GetNumber()[len(number)-1:], other.GetName())
	finds("C-2026", other.GetName(), made.GetName())
	finds("202611", other.GetName(), made.GetName())
	for _, query := range []string{"中", "华中", "展", "展会", "vip", "ip", "娜", "娜娜", "ouyang", "ang 娜", "精工"} {
		finds(query, made.GetName())
	}
	finds("中华")
	finds("公司华") // no part of one of them
	if _, err := r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{
		Contact: &customerv1.Contact{Id: contact.GetId(), CustomerId: made.GetId(), Name: "赵云"}, UpdateMask: mask("name")}); err != nil {
		t.Fatal(err)
	}
	finds("娜娜")
	finds("赵云", made.GetName())
	if _, err := r.contacts.DeleteContact(r.admin(), &customerv1.DeleteContactRequest{CustomerId: made.GetId(), Id: contact.GetId()}); err != nil {
		t.Fatal(err)
	}
	finds("赵云")
	if n := r.count(t, `SELECT count(*) FROM customer_summaries WHERE folded LIKE '%赵云%' OR array_to_string(grams, ' ') LIKE '%赵云%'`); n != 0 {
		t.Error("the name of a removed contact is still kept for searches")
	}
	r.update(t, &customerv1.Customer{Id: made.GetId(), Region: "华南", Tags: []string{"老客户"}}, 0, "region", "tags")
	finds("展会")
	finds("华南", made.GetName())
	finds("户", made.GetName())
}

// Everything is found once, in order, by pages of any size, from the newest one by one over
// all spans.
func TestSearchPagesOverAllSpans(t *testing.T) {
	r := start(t)
	if _, err := r.DB.Owner(t).Exec(t.Context(), `
INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
  tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version)
SELECT gen_random_uuid(), 'N' || n, '', 1, 1, '', '', '', '', '{}', 1, 1, '', 1, 'en', true, now(), now(), 1 FROM generate_series(1, 300) n;
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, owner_staff_id, status, folded, grams, position)
SELECT id, number, number, 1, CASE WHEN fifth THEN '华东' ELSE '' END, CASE WHEN fifth THEN 4 ELSE 1 END,
  CASE WHEN fifth THEN '01890a5d-ac96-774b-bcce-b302099a8057'::uuid END, CASE WHEN fifth THEN 2 ELSE 1 END, '武汉4711' || number,
  ARRAY(SELECT term || '/' || (at >> 16) FROM unnest('{武汉,武,汉,4711}'::text[]) term), at
FROM customers, LATERAL (SELECT 983040 - substr(number, 2)::bigint * 3270 AS at, substr(number, 2)::int % 5 = 0 AS fifth) positions`); err != nil {
		t.Fatal(err)
	}
	var want, mine []string
	for n := 1; n <= 300; n++ {
		want = append(want, fmt.Sprint("N", n))
		if n%5 == 0 {
			mine = append(mine, fmt.Sprint("N", n))
		}
	}
	for _, query := range []string{"武汉", "武", "汉", "4711"} {
		for _, size := range []int32{13, 100, 500} {
			if got := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: query, PageSize: size}); !slices.Equal(got, want) {
				t.Errorf("%s, pages of %d: %d customers: %v", query, size, len(got), got)
			}
			for name, req := range map[string]*customerv1.ListCustomerSummariesRequest{
				"owner":  {OwnerStaffId: "01890a5d-ac96-774b-bcce-b302099a8057"},
				"tier":   {Tier: typev1.Tier_TIER_KEY},
				"status": {Status: customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED},
				"region": {Region: "华东"},
			} {
				req.Query, req.PageSize = query, size
				if got := r.list(t, r.admin(), req); !slices.Equal(got, mine) {
					t.Errorf("%s by %s, pages of %d: %d customers: %v", query, name, size, len(got), got)
				}
			}
		}
	}
}

// What ends in the digits and what has them as a part comes together, in order and once, by
// pages of any size.
func TestSearchPagesOverPhonesAndParts(t *testing.T) {
	r := start(t)
	if _, err := r.DB.Owner(t).Exec(t.Context(), `
INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
  tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version, phone, phone_index, phone_last4_index)
SELECT gen_random_uuid(), 'N' || n, '', 1, 1, '', '', '', '', '{}', 1, 1, '', 1, 'en', true, now(), now(), 1, '\x00', '\x00',
  CASE WHEN n % 3 = 0 THEN $1::bytea END FROM generate_series(1, 300) n`, r.Process.Keyring.Index("phone_last4", "5678")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DB.Owner(t).Exec(t.Context(), `
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, status, folded, grams, position)
SELECT id, number, number, 1, CASE WHEN substr(number, 2)::int % 5 = 0 THEN '华东' ELSE '' END, 1, 1, CASE WHEN part THEN '5678' ELSE '' END,
  CASE WHEN part THEN ARRAY['5678/' || (at >> 16)] ELSE '{}' END, at
FROM customers, LATERAL (SELECT substr(number, 2)::int % 4 = 0 AS part, 983040 - substr(number, 2)::bigint * 3270 AS at) parts`); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DB.Owner(t).Exec(t.Context(), `
INSERT INTO contacts (id, customer_id, name, decision_role, language, phone, phone_index, phone_last4_index, create_time, update_time, version)
SELECT gen_random_uuid(), id, 'x', 0, 'en', '\x00', '\x00', $1, now(), now(), 1 FROM customers, generate_series(1, 2)
WHERE substr(number, 2)::int % 7 = 0`, r.Process.Keyring.Index("phone_last4", "5678")); err != nil {
		t.Fatal(err)
	}
	var want, eastern []string
	for n := 1; n <= 300; n++ {
		if n%3 == 0 || n%4 == 0 || n%7 == 0 {
			want = append(want, fmt.Sprint("N", n))
			if n%5 == 0 {
				eastern = append(eastern, fmt.Sprint("N", n))
			}
		}
	}
	for _, size := range []int32{1, 7, 40, 500} {
		got := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "5678", PageSize: size})
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d customers, want %d: %v", size, len(got), len(want), got)
		}
		got = r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "5678", Region: "华东", PageSize: size})
		if !slices.Equal(got, eastern) {
			t.Errorf("pages of %d in a region: %d customers, want %d: %v", size, len(got), len(eastern), got)
		}
	}
}

func TestFilterSummaries(t *testing.T) {
	r := start(t)
	var made []*customerv1.Customer
	for i := range 6 {
		c := file(fmt.Sprint("customer ", i))
		c.Region = []string{"华中", "华东"}[i%2]
		if i < 2 {
			c.OwnerStaffId = "01890a5d-ac96-774b-bcce-b302099a8057"
		}
		made = append(made, r.make(t, c))
	}
	if _, err := r.customers.SetTier(r.admin(), r.tier(made[3].GetId(), 5)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		req  *customerv1.ListCustomerSummariesRequest
		want []string
	}{
		"all, by pages":    {&customerv1.ListCustomerSummariesRequest{PageSize: 4}, []string{"customer 5", "customer 4", "customer 3", "customer 2", "customer 1", "customer 0"}},
		"region":           {&customerv1.ListCustomerSummariesRequest{Region: "华东", PageSize: 1}, []string{"customer 5", "customer 3", "customer 1"}},
		"tier":             {&customerv1.ListCustomerSummariesRequest{Tier: typev1.Tier_TIER_KEY}, []string{"customer 3"}},
		"owner":            {&customerv1.ListCustomerSummariesRequest{OwnerStaffId: "01890a5d-ac96-774b-bcce-b302099a8057"}, []string{"customer 1", "customer 0"}},
		"status":           {&customerv1.ListCustomerSummariesRequest{Status: customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED}, nil},
		"query and region": {&customerv1.ListCustomerSummariesRequest{Query: "mer", Region: "华中", PageSize: 2}, []string{"customer 4", "customer 2", "customer 0"}},
	} {
		if got := r.list(t, r.admin(), c.req); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	first, err := r.customers.ListCustomerSummaries(r.admin(), &customerv1.ListCustomerSummariesRequest{PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*customerv1.ListCustomerSummariesRequest{
		"page_token":     {PageToken: first.GetNextPageToken(), Region: "华中"},
		"page_size":      {PageSize: 501},
		"tier":           {Tier: 9},
		"owner_staff_id": {OwnerStaffId: "x"},
		"query":          {Query: strings.Repeat("x", 201)},
	} {
		_, err := r.customers.ListCustomerSummaries(r.admin(), req)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", name)
	}
	_, err = r.customers.ListCustomerSummaries(r.As(access.SalesManager), &customerv1.ListCustomerSummariesRequest{PageToken: first.GetNextPageToken()})
	refused(t, "another's token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	_, err = r.customers.ListCustomerSummaries(r.AsCustomer(made[0].GetId()), &customerv1.ListCustomerSummariesRequest{})
	refused(t, "a customer", err, codes.PermissionDenied, "PERMISSION_DENIED")
}

func TestSalespeopleListTheirOwn(t *testing.T) {
	r := start(t)
	me, other := newID(t), newID(t)
	for name, owner := range map[string]string{"mine": me, "another's": other, "nobody's": ""} {
		c := file(name)
		c.OwnerStaffId = owner
		r.make(t, c)
	}
	sales := r.AsStaff(access.Salesperson, "sales-1")
	if got := r.list(t, sales, &customerv1.ListCustomerSummariesRequest{}); got != nil {
		t.Errorf("a salesperson the directory does not know lists %q", got)
	}
	r.in(t, r.HandleTicket, envelope(t, "staff.changed.v1", me, 1, "", &ticketv1.StaffChanged{Staff: &ticketv1.Staff{
		Id: me, Name: "Zhao", DepartmentId: newID(t), Issuer: r.Issuer.URL(), Subject: "sales-1",
	}}))
	if got := r.list(t, sales, &customerv1.ListCustomerSummariesRequest{}); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("lists %q, want their own", got)
	}
	if got := r.list(t, sales, &customerv1.ListCustomerSummariesRequest{OwnerStaffId: other}); got != nil {
		t.Errorf("lists %q of another", got)
	}
	if got := r.list(t, sales, &customerv1.ListCustomerSummariesRequest{Query: "'s"}); got != nil {
		t.Errorf("finds %q of others", got)
	}
}
