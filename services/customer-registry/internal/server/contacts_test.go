package server_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func person(name string) *customerv1.Contact {
	return &customerv1.Contact{
		Name: name, Phone: "139 1234 5678", Email: "Li.Si@Example.com",
		DecisionRole: customerv1.DecisionRole_DECISION_ROLE_DECISION_MAKER, Language: "en",
	}
}

func (r *registry) addContact(t *testing.T, customerID string, c *customerv1.Contact) *customerv1.Contact {
	t.Helper()
	made, err := r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{CustomerId: customerID, Contact: c})
	if err != nil {
		t.Fatalf("CreateContact: %v", err)
	}
	return made
}

func (r *registry) getContact(ctx context.Context, customerID, id string) (*customerv1.Contact, error) {
	return r.contacts.GetContact(ctx, &customerv1.GetContactRequest{CustomerId: customerID, Id: id})
}

func TestContacts(t *testing.T) {
	r := start(t)
	owner, other := r.make(t, full()), r.make(t, file("other"))
	made := r.addContact(t, owner.GetId(), person("李四"))
	want := person("李四")
	want.Phone, want.Email, want.Etag = "+8613912345678", "li.si@example.com", "1"
	want.PhoneQuality, want.EmailQuality, want.FieldStates = valid, valid, made.GetFieldStates()
	want.Id, want.CustomerId, want.CreateTime, want.UpdateTime = made.GetId(), owner.GetId(), made.GetCreateTime(), made.GetUpdateTime()
	if !proto.Equal(made, want) {
		t.Errorf("made %v\nwant %v", made, want)
	}
	if got, err := r.getContact(r.admin(), owner.GetId(), made.GetId()); err != nil || !proto.Equal(got, made) {
		t.Errorf("read %v, %v", got, err)
	}
	if got, err := r.getContact(r.As(access.ServiceAgent), owner.GetId(), made.GetId()); err != nil ||
		got.GetPhone() != "139****5678" || got.GetEmail() != "l***@example.com" || got.GetName() != "李四" {
		t.Errorf("an agent reads %v, %v; want it masked", got, err)
	}
	if _, err := r.getContact(r.AsCustomer(owner.GetId()), owner.GetId(), made.GetId()); err != nil {
		t.Errorf("a customer reads their own contact: %v", err)
	}
	_, err := r.getContact(r.AsCustomer(other.GetId()), owner.GetId(), made.GetId())
	refused(t, "another customer", err, codes.NotFound, "CONTACT_NOT_FOUND")
	_, err = r.getContact(r.admin(), other.GetId(), made.GetId())
	refused(t, "the wrong customer", err, codes.NotFound, "CONTACT_NOT_FOUND")
	_, err = r.getContact(r.As(access.Salesperson), owner.GetId(), made.GetId())
	refused(t, "a salesperson", err, codes.NotFound, "CONTACT_NOT_FOUND")
}

func TestCreateContactRefuses(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	for field, spoil := range map[string]func(*customerv1.Contact){
		"contact.name":          func(c *customerv1.Contact) { c.Name = "" },
		"contact.phone":         func(c *customerv1.Contact) { c.Phone = "1" },
		"contact.email":         func(c *customerv1.Contact) { c.Email = "@" },
		"contact.decision_role": func(c *customerv1.Contact) { c.DecisionRole = 99 },
		"contact.language":      func(c *customerv1.Contact) { c.Language = "de" },
	} {
		c := person("x")
		spoil(c)
		_, err := r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{CustomerId: owner.GetId(), Contact: c})
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{CustomerId: newID(t), Contact: person("x")})
	refused(t, "unknown customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.contacts.CreateContact(r.As(access.ServiceAgent), &customerv1.CreateContactRequest{CustomerId: owner.GetId(), Contact: person("x")})
	refused(t, "agent", err, codes.PermissionDenied, "PERMISSION_DENIED")
	if n := r.count(t, `SELECT count(*) FROM contacts`); n != 0 {
		t.Errorf("%d contacts stored by refused calls", n)
	}
}

func TestListContacts(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	names := []string{"a", "b", "c", "d", "e"}
	for _, n := range names {
		r.addContact(t, owner.GetId(), person(n))
	}
	var got []string
	req := &customerv1.ListContactsRequest{CustomerId: owner.GetId(), PageSize: 2}
	for {
		out, err := r.contacts.ListContacts(r.admin(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.GetContacts() {
			got = append(got, c.GetName())
			if c.GetPhone() != "+8613912345678" {
				t.Errorf("phone %q", c.GetPhone())
			}
		}
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(got) != 5 || got[0] != "a" || got[4] != "e" {
		t.Errorf("listed %v, want %v", got, names)
	}
	masked, err := r.contacts.ListContacts(r.As(access.ServiceAgent), &customerv1.ListContactsRequest{CustomerId: owner.GetId()})
	if err != nil || len(masked.GetContacts()) != 5 || masked.GetContacts()[0].GetPhone() != "139****5678" {
		t.Errorf("an agent lists %v, %v", masked, err)
	}
	_, err = r.contacts.ListContacts(r.admin(), &customerv1.ListContactsRequest{CustomerId: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.contacts.ListContacts(r.AsCustomer(newID(t)), &customerv1.ListContactsRequest{CustomerId: owner.GetId()})
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.contacts.ListContacts(r.admin(), &customerv1.ListContactsRequest{CustomerId: owner.GetId(), PageToken: "x"})
	refused(t, "bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	_, err = r.contacts.ListContacts(r.admin(), &customerv1.ListContactsRequest{CustomerId: owner.GetId(), PageSize: 501})
	refused(t, "page too large", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_size")
}

func TestUpdateContact(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	made := r.addContact(t, owner.GetId(), person("李四"))
	update := func(c *customerv1.Contact, paths ...string) (*customerv1.Contact, error) {
		c.CustomerId, c.Id = owner.GetId(), made.GetId()
		return r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{Contact: c, UpdateMask: mask(paths...)})
	}
	got, err := update(&customerv1.Contact{Phone: "+12125550199", Etag: "1"}, "phone", "email", "language")
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(made)
	want.Phone, want.Email, want.Language, want.Etag, want.UpdateTime = "+12125550199", "", "zh-CN", "2", got.GetUpdateTime()
	want.EmailQuality, want.FieldStates = customerv1.PointQuality_POINT_QUALITY_UNSPECIFIED, got.GetFieldStates()
	if !proto.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if same, err := update(&customerv1.Contact{Phone: "+12125550199"}, "phone"); err != nil || same.GetEtag() != "2" {
		t.Errorf("the same again: %v, %v", same, err)
	}
	_, err = update(&customerv1.Contact{Phone: "1"}, "phone")
	refused(t, "phone", err, codes.InvalidArgument, "VALIDATION_FAILED", "contact.phone")
	_, err = update(&customerv1.Contact{}, "name")
	refused(t, "name", err, codes.InvalidArgument, "VALIDATION_FAILED", "contact.name")
	_, err = update(&customerv1.Contact{}, "customer_id")
	refused(t, "customer", err, codes.InvalidArgument, "UPDATE_MASK_INVALID")
	_, err = update(&customerv1.Contact{Name: "x", Etag: "1"}, "name")
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{
		Contact: &customerv1.Contact{CustomerId: owner.GetId(), Id: newID(t), Name: "x"}, UpdateMask: mask("name"),
	})
	refused(t, "unknown", err, codes.NotFound, "CONTACT_NOT_FOUND")
}

func TestDeleteContact(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	made := r.addContact(t, owner.GetId(), person("李四"))
	del := func(etag string) error {
		_, err := r.contacts.DeleteContact(r.admin(), &customerv1.DeleteContactRequest{CustomerId: owner.GetId(), Id: made.GetId(), Etag: etag})
		return err
	}
	refused(t, "stale", del("5"), codes.Aborted, "ETAG_MISMATCH")
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = del("") })
	}
	wg.Wait()
	exactlyOne(t, errs, codes.NotFound, "CONTACT_NOT_FOUND")
	_, err := r.getContact(r.admin(), owner.GetId(), made.GetId())
	refused(t, "read", err, codes.NotFound, "CONTACT_NOT_FOUND")
	if n := r.count(t, `SELECT count(*) FROM subject_keys WHERE subject_id = $1 AND wrapped IS NULL`, made.GetId()); n != 1 {
		t.Error("the key of the contact was not destroyed")
	}
	if n := r.count(t, `SELECT count(*) FROM contacts WHERE name <> '' OR phone IS NOT NULL OR email_index IS NOT NULL`); n != 0 {
		t.Error("something of the contact was kept")
	}
	found, err := r.customers.ListCustomerSummaries(r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "13912345678"})
	if err != nil || len(found.GetCustomerSummaries()) != 0 {
		t.Errorf("a deleted contact still finds its customer: %v, %v", found, err)
	}
}
