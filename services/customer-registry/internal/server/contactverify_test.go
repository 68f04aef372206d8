package server_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	toldByCustomer = customerv1.ValueSource_VALUE_SOURCE_CUSTOMER
	wasAsked       = customerv1.ValueSource_VALUE_SOURCE_ASKED
)

// stateOf is where a contact's value came from, nil for one it has not.
func stateOf(c *customerv1.Contact, field string) *customerv1.FieldState {
	for _, s := range c.GetFieldStates() {
		if s.GetField() == field {
			return s
		}
	}
	return nil
}

func (r *registry) verify(ctx context.Context, c *customerv1.Contact, etag string, fields ...string) (*customerv1.Contact, error) {
	return r.contacts.VerifyContact(ctx, &customerv1.VerifyContactRequest{
		CustomerId: c.GetCustomerId(), Id: c.GetId(), Fields: fields, Method: "called back", Etag: etag})
}

func TestEachValueOfAContactHasItsOrigin(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	made, err := r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{CustomerId: owner.GetId(), Contact: person("李四"), Source: wasAsked})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"name", "phone", "email", "decision_role", "language"} {
		s := stateOf(made, field)
		if s.GetSource() != wasAsked || !strings.HasSuffix(s.GetSetter(), access.InformationAdministrator) || !s.GetSetTime().AsTime().Equal(r.Clock.Now()) || s.GetVerified() {
			t.Errorf("where the %s came from: %v", field, s)
		}
	}
	if stateOf(made, "birthday") != nil || len(made.GetFieldStates()) != 5 {
		t.Errorf("states of %v", made.GetFieldStates())
	}
	r.Clock.Advance(time.Hour)
	checked, err := r.verify(r.crm(), made, "1", "phone", "email")
	if err != nil {
		t.Fatal(err)
	}
	if s := stateOf(checked, "phone"); !s.GetVerified() || s.GetSource() != wasAsked || s.GetVerifyMethod() != "called back" ||
		!strings.HasSuffix(s.GetVerifier(), access.CRMSpecialist) || !s.GetVerifyTime().AsTime().Equal(r.Clock.Now()) || checked.GetEtag() != "2" {
		t.Errorf("verified %v", checked)
	}
	if got, err := r.getContact(r.admin(), owner.GetId(), made.GetId()); err != nil || !proto.Equal(got, checked) {
		t.Errorf("read %v, %v", got, err)
	}
	r.tells(t, "the verification", owner.GetId(), "verifications", "verifications.phone:  → called back", "verifications.email:  → called back")
	// A change ends the verification of what changed, and of nothing else.
	changed, err := r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{
		Contact: &customerv1.Contact{CustomerId: owner.GetId(), Id: made.GetId(), Phone: "13700137000"}, UpdateMask: mask("phone"), Source: toldByCustomer})
	if err != nil || stateOf(changed, "phone").GetVerified() || stateOf(changed, "phone").GetSource() != toldByCustomer || !stateOf(changed, "email").GetVerified() {
		t.Errorf("changed %v, %v", changed, err)
	}
	report := r.reportContact(t, owner.GetId(), made.GetId())
	if _, err := r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()}); err != nil {
		t.Fatal(err)
	}
	got, err := r.getContact(r.AsCustomer(owner.GetId()), owner.GetId(), made.GetId())
	if err != nil || stateOf(got, "email").GetVerified() || stateOf(got, "email").GetSource() != toldByCustomer || stateOf(got, "name").GetSource() != wasAsked {
		t.Errorf("after a report: %v, %v", got, err)
	}
	for _, s := range got.GetFieldStates() {
		if s.GetSetter() != "" || s.GetVerifier() != "" {
			t.Errorf("a customer sees who set the %s: %v", s.GetField(), s)
		}
	}
	list, err := r.contacts.ListContacts(r.As(access.ServiceAgent), &customerv1.ListContactsRequest{CustomerId: owner.GetId()})
	if err != nil || stateOf(list.GetContacts()[0], "name").GetSetter() == "" {
		t.Errorf("an agent lists %v, %v", list, err)
	}
}

func TestVerifyContactRefuses(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	made := r.addContact(t, owner.GetId(), &customerv1.Contact{Name: "李四", Phone: "13912345678"})
	_, err := r.verify(r.admin(), made, "", "phone", "email")
	refused(t, "no value", err, codes.InvalidArgument, "VALIDATION_FAILED", "fields")
	_, err = r.verify(r.admin(), made, "")
	refused(t, "nothing", err, codes.InvalidArgument, "VALIDATION_FAILED", "fields")
	_, err = r.verify(r.admin(), made, "7", "phone")
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.verify(r.admin(), &customerv1.Contact{CustomerId: newID(t), Id: made.GetId()}, "", "phone")
	refused(t, "another customer's", err, codes.NotFound, "CONTACT_NOT_FOUND")
	_, err = r.verify(r.As(access.ServiceAgent), made, "", "phone")
	refused(t, "an agent", err, codes.PermissionDenied, "PERMISSION_DENIED")
	closed := r.key(t, newID(t))
	theirs := r.addContact(t, closed.GetId(), person("王五"))
	_, err = r.verify(r.crm(), theirs, "", "phone")
	refused(t, "a key customer's", err, codes.PermissionDenied, "FILE_CLOSED")
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = r.verify(r.admin(), made, "1", "phone") })
	}
	wg.Wait()
	exactlyOne(t, errs, codes.Aborted, "ETAG_MISMATCH")
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: owner.GetId(), Reason: "停业"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.verify(r.admin(), made, "", "phone")
	refused(t, "a retired file", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
}

// What is verified of the people counts as what is verified of the file.
func TestQualityCountsContacts(t *testing.T) {
	r := start(t)
	owner := r.make(t, &customerv1.Customer{Name: "客户", Kind: 1, Party: 1, Phone: "13800138000"})
	made := r.addContact(t, owner.GetId(), person("李四"))
	accuracy := func(what string, want int32) {
		t.Helper()
		if got := r.qualityOf(t, owner.GetId()); got.GetAccuracy() != want || got.GetDefinition() != 2 {
			t.Errorf("%s: %v, want %d", what, got, want)
		}
		if err := r.ScoreFiles(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := r.count(t, `SELECT accuracy FROM customer_quality WHERE customer_id = $1`, owner.GetId()); n != int(want) {
			t.Errorf("%s, the list says %d, want %d", what, n, want)
		}
	}
	accuracy("nothing is verified", 70)
	if _, err := r.verify(r.admin(), made, "", "phone"); err != nil {
		t.Fatal(err)
	}
	accuracy("one of three", 85)
	if _, err := r.verify(r.admin(), made, "", "email", "name"); err != nil {
		t.Fatal(err)
	}
	accuracy("two of three", 85)
	if _, err := r.files.VerifyCustomer(r.admin(), &customerv1.VerifyCustomerRequest{Id: owner.GetId(), Fields: []string{"phone"}, Method: "called"}); err != nil {
		t.Fatal(err)
	}
	accuracy("all", 100)
	if _, err := r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{
		Contact: &customerv1.Contact{CustomerId: owner.GetId(), Id: made.GetId(), Email: "new@example.com"}, UpdateMask: mask("email")}); err != nil {
		t.Fatal(err)
	}
	accuracy("after a change", 85)
	if _, err := r.contacts.DeleteContact(r.admin(), &customerv1.DeleteContactRequest{CustomerId: owner.GetId(), Id: made.GetId()}); err != nil {
		t.Fatal(err)
	}
	accuracy("without the contact", 100)
}
