package server_test

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func full() *customerv1.Customer {
	c := file("武汉精工设备有限公司")
	c.ClassificationCode, c.Industry, c.Region, c.SourceChannel = "M1", "machinery", "华中", "fair"
	c.Address = &customerv1.Address{
		Street: "珞瑜路 1 号", City: "武汉", Province: "湖北", PostalCode: "430070", CountryCode: "CN",
		Position: &customerv1.Position{Latitude: 30.5, Longitude: 114.4},
	}
	c.Phone, c.Email = "138 0013 8000", " Zhang.San@Example.COM "
	c.OwnerStaffId = "01890a5d-ac96-774b-bcce-b302099a8057"
	c.Tags = []string{"vip", "exhibitor"}
	return c
}

func TestCreateCustomer(t *testing.T) {
	r := start(t)
	given := full()
	given.Number, given.Tier, given.TierReason = "C-1", typev1.Tier_TIER_KEY, "mine"
	made := r.make(t, given)
	if !regexp.MustCompile(`^C-202611-[0-9]{6}$`).MatchString(made.GetNumber()) {
		t.Errorf("number %q", made.GetNumber())
	}
	want := full()
	want.Phone, want.Email = "+8613800138000", "zhang.san@example.com"
	want.PhoneQuality, want.EmailQuality = valid, valid
	want.Lifecycle, want.Language = customerv1.Lifecycle_LIFECYCLE_POTENTIAL, "zh-CN"
	want.Tier, want.Status = typev1.Tier_TIER_C, customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE
	want.Id, want.Number, want.Etag = made.GetId(), made.GetNumber(), "1"
	want.CreateTime, want.UpdateTime = made.GetCreateTime(), made.GetUpdateTime()
	want.UpdateIntervalDays, want.ReviewDueTime = 180, timestamppb.New(r.Clock.Now().AddDate(0, 0, 180))
	if !proto.Equal(made, want) {
		t.Errorf("made %v\nwant %v", made, want)
	}
	if !made.GetCreateTime().AsTime().Equal(r.Clock.Now()) {
		t.Errorf("create_time %v, want the clock's", made.GetCreateTime().AsTime())
	}
	if got := r.get(t, made.GetId()); !proto.Equal(got, made) {
		t.Errorf("read %v\nwant %v", got, made)
	}
}

func TestCreateCustomerTellsTheOthersOnce(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	events := r.Events(t)
	if len(events) != 1 || events[0].GetType() != "customer.created.v1" || events[0].GetCustomerId() != made.GetId() ||
		events[0].GetSubjectId() != made.GetId() || events[0].GetSubjectVersion() != 1 || events[0].GetHistoric() {
		t.Fatalf("events %v", events)
	}
	payload, err := event.Unpack[*customerv1.CustomerChanged](events[0])
	if err != nil {
		t.Fatal(err)
	}
	want := &customerv1.CustomerRef{
		Id: made.GetId(), Number: made.GetNumber(), Kind: made.GetKind(), Tier: typev1.Tier_TIER_C, Region: "华中",
		Status: made.GetStatus(), OwnerStaffId: made.GetOwnerStaffId(), ServiceQualityConsent: true,
		Language: "zh-CN", Version: 1,
	}
	if !proto.Equal(payload.GetCustomer(), want) {
		t.Errorf("event carries %v, want %v", payload.GetCustomer(), want)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'customer' AND object_id = $1`, made.GetId()); n != 1 {
		t.Errorf("%d audit records, want 1", n)
	}
}

func TestContactDataIsEncryptedAtRest(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	if _, err := r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{
		CustomerId: made.GetId(), Contact: &customerv1.Contact{Name: "李四", Phone: "+8613912345678", Email: "li@example.com"},
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := r.DB.Owner(t).Query(t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if len(tables) < 10 {
		t.Fatalf("only %d tables", len(tables))
	}
	for _, table := range tables {
		rows, err := r.DB.Owner(t).Query(t.Context(), `SELECT to_jsonb(x)::text FROM "`+table+`" x`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"13800138000", "13912345678", "zhang.san", "li@example.com", "珞瑜路", "430070"} {
				if strings.Contains(text, secret) || strings.Contains(text, hexOf(secret)) {
					t.Errorf("%s holds %q in plain", table, secret)
				}
			}
		}
		rows.Close()
	}
}

func hexOf(s string) string {
	var b bytes.Buffer
	for _, c := range []byte(s) {
		b.WriteString("0123456789abcdef"[c>>4 : c>>4+1])
		b.WriteString("0123456789abcdef"[c&15 : c&15+1])
	}
	return b.String()
}

func TestCreateCustomerRefuses(t *testing.T) {
	r := start(t)
	for field, spoil := range map[string]func(*customerv1.Customer){
		"customer.name":  func(c *customerv1.Customer) { c.Name = "" },
		"customer.kind":  func(c *customerv1.Customer) { c.Kind = 0 },
		"customer.party": func(c *customerv1.Customer) { c.Party = 9 },
		"customer.phone": func(c *customerv1.Customer) { c.Phone = "12" },
		"customer.email": func(c *customerv1.Customer) { c.Email = "nobody" },
		"customer.tags":  func(c *customerv1.Customer) { c.Tags = []string{"a", "a"} },
		"customer.address.position.latitude": func(c *customerv1.Customer) {
			c.Address = &customerv1.Address{Position: &customerv1.Position{Latitude: 91}}
		},
		"customer.owner_staff_id": func(c *customerv1.Customer) { c.OwnerStaffId = "me" },
		"customer.language":       func(c *customerv1.Customer) { c.Language = "fr" },
	} {
		c := full()
		spoil(c)
		_, err := r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: c})
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
		if err != nil && (strings.Contains(err.Error(), "nobody") || strings.Contains(err.Error(), "\"12\"")) {
			t.Errorf("the error repeats contact data: %v", err)
		}
	}
	_, err := r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{})
	refused(t, "no customer", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer")
	if n := r.count(t, `SELECT count(*) FROM customers`); n != 0 {
		t.Errorf("%d customers stored by refused calls", n)
	}
	for _, role := range []string{access.ServiceAgent, access.Salesperson, access.Auditor, access.QCInspector} {
		_, err := r.customers.CreateCustomer(r.As(role), &customerv1.CreateCustomerRequest{Customer: full()})
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
	_, err = r.customers.CreateCustomer(r.AsPublic(), &customerv1.CreateCustomerRequest{Customer: full()})
	refused(t, "nobody", err, codes.Unauthenticated, "TOKEN_MISSING")
}

func TestCreateCustomerIsIdempotent(t *testing.T) {
	r := start(t)
	req := &customerv1.CreateCustomerRequest{Customer: full(), RequestId: "one"}
	var wg sync.WaitGroup
	answers := make([]*customerv1.Customer, 8)
	for i := range answers {
		wg.Go(func() {
			made, err := r.customers.CreateCustomer(r.admin(), proto.CloneOf(req))
			if err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			answers[i] = made
		})
	}
	wg.Wait()
	for _, a := range answers[1:] {
		if !proto.Equal(a, answers[0]) {
			t.Errorf("answers differ: %v and %v", a, answers[0])
		}
	}
	if n := r.count(t, `SELECT count(*) FROM customers`); n != 1 {
		t.Errorf("%d customers, want 1", n)
	}
	req.Customer.Name = "another"
	_, err := r.customers.CreateCustomer(r.admin(), req)
	refused(t, "other body", err, codes.AlreadyExists, "REQUEST_ID_REUSED")
}

func TestNumbersAreUniqueUnderLoad(t *testing.T) {
	r := start(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: full()}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := r.count(t, `SELECT count(DISTINCT number) FROM customers`); n != 40 {
		t.Errorf("%d distinct numbers, want 40", n)
	}
}

func TestGetCustomer(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	_, err := r.customers.GetCustomer(r.admin(), &customerv1.GetCustomerRequest{Id: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.customers.GetCustomer(r.admin(), &customerv1.GetCustomerRequest{Id: "x"})
	refused(t, "no uuid", err, codes.InvalidArgument, "VALIDATION_FAILED", "id")

	if _, err := r.customers.SetTier(r.admin(), r.tier(made.GetId(), 5)); err != nil {
		t.Fatal(err)
	}
	want := r.get(t, made.GetId())
	want.ClassificationCode, want.Tags, want.TierReason = "", nil, ""
	mine, err := r.customers.GetCustomer(r.AsCustomer(made.GetId()), &customerv1.GetCustomerRequest{Id: made.GetId()})
	if err != nil || !proto.Equal(mine, want) {
		t.Errorf("a customer reads their own file: %v, %v", mine, err)
	}
	_, err = r.customers.GetCustomer(r.AsCustomer(newID(t)), &customerv1.GetCustomerRequest{Id: made.GetId()})
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.customers.GetCustomer(r.As(access.Auditor), &customerv1.GetCustomerRequest{Id: made.GetId()})
	refused(t, "auditor", err, codes.PermissionDenied, "PERMISSION_DENIED")
	made = r.make(t, full())
	for _, role := range []string{access.ServiceAgent, access.ServiceSupervisor, access.ServiceManager} {
		got, err := r.customers.GetCustomer(r.As(role), &customerv1.GetCustomerRequest{Id: made.GetId()})
		if err != nil || got.GetPhone() != "138****8000" || got.GetEmail() != "z***@example.com" || got.GetAddress() != nil || got.GetName() != made.GetName() {
			t.Errorf("%s reads %v, %v; want the file masked", role, got, err)
		}
	}
}

func TestEachReadLeavesARecord(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	const reads = `SELECT count(*) FROM audit_records WHERE object_id = $1 AND action = $2 AND actor LIKE '%tester-information-administrator'
		AND access_right LIKE 'role:information-administrator/%'`
	r.get(t, made.GetId())
	r.get(t, made.GetId())
	if n := r.count(t, reads, made.GetId(), "/kefu.customer.v1.CustomerService/GetCustomer"); n != 2 {
		t.Errorf("%d records of 2 reads", n)
	}
	r.profile(t, made.GetId())
	if n := r.count(t, reads, made.GetId(), "/kefu.customer.v1.CustomerService/GetProfile"); n != 1 {
		t.Errorf("%d records of 1 profile", n)
	}
	if _, err := r.contacts.ListContacts(r.admin(), &customerv1.ListContactsRequest{CustomerId: made.GetId()}); err != nil {
		t.Fatal(err)
	}
	if n := r.count(t, reads, made.GetId(), "/kefu.customer.v1.ContactService/ListContacts"); n != 1 {
		t.Errorf("%d records of 1 listing", n)
	}
	r.Events(t) // numbers the rows and links the records
	if n := r.count(t, `SELECT (SELECT count(*) FROM audit_records) - (SELECT count(*) FROM audit_chain)`); n != 0 {
		t.Errorf("%d records stand outside the chain", n)
	}
}

func TestUpdateCustomer(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	r.Clock.Advance(60e9)
	change := &customerv1.Customer{
		Id: made.GetId(), Etag: "1", Name: "Wuhan Precision 有限公司", Phone: "010-62345678", Region: "华北",
		Address: &customerv1.Address{City: "北京"},
	}
	got, err := r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{
		Customer: change, UpdateMask: mask("name", "phone", "email", "region", "address.city"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(made)
	want.Name, want.Phone, want.Email, want.Region, want.Etag = change.GetName(), "+861062345678", "", "华北", "2"
	want.Address.City, want.EmailQuality = "北京", customerv1.PointQuality_POINT_QUALITY_UNSPECIFIED
	want.UpdateTime, want.ReviewDueTime = got.GetUpdateTime(), timestamppb.New(r.Clock.Now().AddDate(0, 0, 180))
	if !proto.Equal(got, want) || !got.GetUpdateTime().AsTime().Equal(r.Clock.Now()) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if read := r.get(t, made.GetId()); !proto.Equal(read, got) {
		t.Errorf("read %v\nwant %v", read, got)
	}
	events := r.Events(t)
	if last := events[len(events)-1]; len(events) != 2 || last.GetType() != "customer.changed.v1" || last.GetSubjectVersion() != 2 {
		t.Errorf("events %v", events)
	}
	summary := r.profile(t, made.GetId()).GetSummary()
	if summary.GetName() != change.GetName() || summary.GetRegion() != "华北" {
		t.Errorf("summary %v", summary)
	}

	same, err := r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{Customer: change2(got), UpdateMask: mask("name")})
	if err != nil || same.GetEtag() != "2" {
		t.Errorf("the same again: %v, %v; want version 2", same, err)
	}
	if n := len(r.Events(t)); n != 2 {
		t.Errorf("%d events after an update that changed nothing, want 2", n)
	}
}

func change2(c *customerv1.Customer) *customerv1.Customer {
	return &customerv1.Customer{Id: c.GetId(), Name: c.GetName(), Etag: c.GetEtag()}
}

func TestUpdateCustomerRefuses(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	update := func(c *customerv1.Customer, paths ...string) error {
		_, err := r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{Customer: c, UpdateMask: mask(paths...)})
		return err
	}
	id := made.GetId()
	refused(t, "no mask", update(&customerv1.Customer{Id: id}), codes.InvalidArgument, "UPDATE_MASK_INVALID")
	refused(t, "output only", update(&customerv1.Customer{Id: id}, "tier"), codes.InvalidArgument, "UPDATE_MASK_INVALID")
	refused(t, "unknown path", update(&customerv1.Customer{Id: id}, "nick"), codes.InvalidArgument, "UPDATE_MASK_INVALID")
	refused(t, "id", update(&customerv1.Customer{Id: id}, "id"), codes.InvalidArgument, "UPDATE_MASK_INVALID")
	refused(t, "empty name", update(&customerv1.Customer{Id: id}, "name"), codes.InvalidArgument, "VALIDATION_FAILED", "customer.name")
	refused(t, "bad phone", update(&customerv1.Customer{Id: id, Phone: "1"}, "phone"), codes.InvalidArgument, "VALIDATION_FAILED", "customer.phone")
	refused(t, "bad e-mail", update(&customerv1.Customer{Id: id, Email: "@"}, "email"), codes.InvalidArgument, "VALIDATION_FAILED", "customer.email")
	refused(t, "unknown", update(&customerv1.Customer{Id: newID(t), Name: "x"}, "name"), codes.NotFound, "CUSTOMER_NOT_FOUND")
	refused(t, "no id", update(&customerv1.Customer{Name: "x"}, "name"), codes.InvalidArgument, "VALIDATION_FAILED", "customer.id")
	refused(t, "stale", update(&customerv1.Customer{Id: id, Name: "x", Etag: "7"}, "name"), codes.Aborted, "ETAG_MISMATCH")
	if got := r.get(t, id); !proto.Equal(got, made) {
		t.Errorf("refused updates changed the file: %v", got)
	}
	if n := len(r.Events(t)); n != 1 {
		t.Errorf("%d events, want that of the creation alone", n)
	}
}

func TestUpdateCustomerRace(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	const racers = 8
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			_, errs[i] = r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{
				Customer:   &customerv1.Customer{Id: made.GetId(), Etag: "1", Region: string(rune('a' + i))},
				UpdateMask: mask("region"),
			})
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.Aborted, "ETAG_MISMATCH")
	if got := r.get(t, made.GetId()).GetEtag(); got != "2" {
		t.Errorf("version %s, want 2", got)
	}
	if n := len(r.Events(t)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// exactlyOne checks that one racer won and the others lost in the way named.
func exactlyOne(t *testing.T, errs []error, code codes.Code, reason string) {
	t.Helper()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			continue
		}
		refused(t, string(rune('0'+i)), err, code, reason)
	}
	if won != 1 {
		t.Errorf("%d won, want exactly one", won)
	}
}

func TestResolveCustomer(t *testing.T) {
	r := start(t)
	made, survivor := r.make(t, full()), r.make(t, file("survivor"))
	ref, err := r.customers.ResolveCustomer(r.AsService("survey"), &customerv1.ResolveCustomerRequest{Id: made.GetId()})
	if err != nil || ref.GetNumber() != made.GetNumber() || ref.GetVersion() != 1 || !ref.GetServiceQualityConsent() {
		t.Errorf("ResolveCustomer: %v, %v", ref, err)
	}
	_, err = r.customers.ResolveCustomer(r.AsService("complaint"), &customerv1.ResolveCustomerRequest{Id: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.customers.ResolveCustomer(r.admin(), &customerv1.ResolveCustomerRequest{Id: made.GetId()})
	refused(t, "a person", err, codes.PermissionDenied, "PERMISSION_DENIED")
	if _, err := r.Pool.Exec(t.Context(), `UPDATE customers SET merged_into = $2 WHERE id = $1`, made.GetId(), survivor.GetId()); err != nil {
		t.Fatal(err)
	}
	ref, err = r.customers.ResolveCustomer(r.AsService("service-ticket"), &customerv1.ResolveCustomerRequest{Id: made.GetId()})
	if err != nil || ref.GetId() != survivor.GetId() {
		t.Errorf("a merged customer resolves to %v, %v; want the survivor", ref.GetId(), err)
	}
}
