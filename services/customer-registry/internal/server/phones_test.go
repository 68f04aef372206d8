package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	valid      = customerv1.PointQuality_POINT_QUALITY_VALID
	notANumber = customerv1.PointQuality_POINT_QUALITY_NOT_A_NUMBER
)

func TestExtensionsAreKept(t *testing.T) {
	r := start(t)
	c := file("武汉精工")
	c.Phone = "021-6888 1234 ext. 12"
	made := r.make(t, c)
	if made.GetPhone() != "+862168881234" || made.GetPhoneExtension() != "12" || made.GetPhoneQuality() != valid {
		t.Errorf("made %v", made)
	}
	got := r.update(t, &customerv1.Customer{Id: made.GetId(), Region: "华东"}, 0, "region")
	if got.GetPhoneExtension() != "12" {
		t.Errorf("the extension after another change: %q", got.GetPhoneExtension())
	}
	if names := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "021 6888 1234"}); len(names) != 1 {
		t.Errorf("found %v by the number without extension", names)
	}
	agent, err := r.customers.GetCustomer(r.As(access.ServiceAgent), &customerv1.GetCustomerRequest{Id: made.GetId()})
	if err != nil || agent.GetPhoneExtension() != "" || strings.Contains(agent.GetPhone(), "6888") {
		t.Errorf("an agent sees %v, %v", agent, err)
	}
	if got := r.update(t, &customerv1.Customer{Id: made.GetId(), Phone: "021 6888 1234"}, 0, "phone"); got.GetPhoneExtension() != "" {
		t.Errorf("the extension of a phone given without: %q", got.GetPhoneExtension())
	}
}

func TestWhatIsNoPhoneIsKeptWhenAskedTo(t *testing.T) {
	r := start(t)
	c := file("武汉精工")
	c.Phone, c.Email = "电话 12345 转", "not an address"
	_, err := r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: c})
	refused(t, "unless asked to", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer.phone", "customer.email")
	made, err := r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: c, KeepInvalid: true})
	if err != nil || made.GetPhone() != c.GetPhone() || made.GetPhoneQuality() == valid || made.GetPhoneQuality() == 0 ||
		made.GetEmailQuality() != customerv1.PointQuality_POINT_QUALITY_NOT_AN_ADDRESS {
		t.Fatalf("made %v, %v", made, err)
	}
	if got := r.get(t, made.GetId()); got.GetPhone() != c.GetPhone() || got.GetPhoneQuality() != made.GetPhoneQuality() || got.GetEmail() != "not an address" {
		t.Errorf("read %v", got)
	}
	if n := r.count(t, `SELECT count(*) FROM customers WHERE encode(phone, 'escape') LIKE '%12345%'`); n != 0 {
		t.Error("it is stored in plain")
	}
	if names := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "12345"}); len(names) != 1 {
		t.Errorf("its digits find %v", names)
	}
	r.update(t, &customerv1.Customer{Id: made.GetId(), Region: "华东"}, 0, "region")
	contact, err := r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{CustomerId: made.GetId(), KeepInvalid: true,
		Contact: &customerv1.Contact{Name: "李四", Phone: "??"}})
	if err != nil || contact.GetPhoneQuality() != notANumber {
		t.Errorf("a contact's: %v, %v", contact, err)
	}
	words := r.addContact(t, r.make(t, file("华东重工")).GetId(), person("李四"))
	if _, err := r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{KeepInvalid: true, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"phone"}},
		Contact: &customerv1.Contact{Id: words.GetId(), CustomerId: words.GetCustomerId(), Phone: "李四家里电话"}}); err != nil {
		t.Fatal(err)
	}
	masked, err := r.contacts.GetContact(r.As(access.ServiceAgent), &customerv1.GetContactRequest{CustomerId: words.GetCustomerId(), Id: words.GetId()})
	if err != nil || masked.GetPhone() != "****电话" {
		t.Errorf("an agent sees of words %q, %v", masked.GetPhone(), err)
	}
	fixed := r.update(t, &customerv1.Customer{Id: made.GetId(), Phone: "13800138000"}, 0, "phone")
	if fixed.GetPhoneQuality() != valid {
		t.Errorf("after a right one: %v", fixed.GetPhoneQuality())
	}
}

func TestLookupCaller(t *testing.T) {
	r := start(t)
	c := file("武汉精工")
	c.Phone = "021 6888 1234"
	made := r.make(t, c)
	contact := r.addContact(t, made.GetId(), &customerv1.Contact{Name: "李四", Phone: "021-68881234", Language: "en"})
	retired := r.make(t, c)
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: retired.GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	telephony := r.AsAccount("telephony", "callers.lookup")
	look := func(number, request string) []*customerv1.Caller {
		t.Helper()
		out, err := r.callers.LookupCaller(telephony, &customerv1.LookupCallerRequest{Number: number, RequestId: request})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetCallers()
	}
	for _, number := range []string{"02168881234", "+862168881234", "0086 21 6888 1234"} {
		got := look(number, "")
		if len(got) != 3 || got[0].GetContactId() != contact.GetId() || got[0].GetContactName() != "李四" || got[0].GetLanguage() != "en" ||
			got[1].GetCustomerId() != made.GetId() || got[1].GetContactId() != "" || got[2].GetCustomerId() != retired.GetId() {
			t.Errorf("%s is of %v", number, got)
		}
	}
	if got := look("13900000000", ""); len(got) != 0 {
		t.Errorf("nobody's number is of %v", got)
	}
	look("13900000000", "same")
	look("13900000000", "same")
	if n := r.count(t, `SELECT count(DISTINCT object_id) FROM audit_records WHERE object_type = 'caller' AND actor LIKE '%telephony'`); n != 5 {
		t.Errorf("%d lookups counted, want 5", n)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'caller' AND customer_id = $1`, made.GetId()); n != 3 {
		t.Errorf("%d lookups found the customer, want 3", n)
	}
	_, err := r.callers.LookupCaller(telephony, &customerv1.LookupCallerRequest{Number: "anonymous"})
	refused(t, "no digits", err, codes.InvalidArgument, "VALIDATION_FAILED", "number")
	_, err = r.callers.LookupCaller(r.admin(), &customerv1.LookupCallerRequest{Number: "02168881234"})
	refused(t, "a person", err, codes.PermissionDenied, "PERMISSION_DENIED")
}
