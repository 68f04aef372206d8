package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// hire puts somebody into the directory and gives their staff id.
func (r *registry) hire(t *testing.T, subject, department string) string {
	t.Helper()
	id := newID(t)
	r.in(t, r.HandleTicket, envelope(t, "staff.changed.v1", id, 1, "", &ticketv1.StaffChanged{Staff: &ticketv1.Staff{
		Id: id, Name: subject, DepartmentId: department, Issuer: r.Issuer.URL(), Subject: subject,
	}}))
	return id
}

func (r *registry) read(ctx context.Context, id string) (*customerv1.Customer, error) {
	return r.customers.GetCustomer(ctx, &customerv1.GetCustomerRequest{Id: id})
}

// key makes a file of a key customer with that owner.
func (r *registry) key(t *testing.T, owner string) *customerv1.Customer {
	t.Helper()
	c := full()
	c.OwnerStaffId = owner
	made := r.make(t, c)
	if _, err := r.customers.SetTier(r.admin(), r.tier(made.GetId(), 300)); err != nil {
		t.Fatal(err)
	}
	return made
}

// rights counts the audit records of reads of a customer by a right.
func (r *registry) rights(t *testing.T, id, right string) int {
	t.Helper()
	return r.count(t, `SELECT count(*) FROM audit_records WHERE object_id = $1 AND access_right = $2`, id, right)
}

func TestFilesOfKeyCustomers(t *testing.T) {
	r := start(t)
	team, elsewhere := newID(t), newID(t)
	owner := r.hire(t, "owner", team)
	r.hire(t, "colleague", team)
	r.hire(t, "stranger", elsewhere)
	made := r.key(t, owner)
	for name, ctx := range map[string]context.Context{
		"an agent":                     r.As(access.ServiceAgent),
		"a supervisor":                 r.As(access.ServiceSupervisor),
		"a specialist":                 r.As(access.CRMSpecialist),
		"a specialist not in the team": r.AsStaff(access.CRMSpecialist, "stranger"),
		"an engineer":                  r.As(access.SupportEngineer),
	} {
		_, err := r.read(ctx, made.GetId())
		refused(t, name, err, codes.PermissionDenied, "GRANT_NEEDED")
		_, err = r.customers.GetProfile(ctx, &customerv1.GetProfileRequest{CustomerId: made.GetId()})
		refused(t, name+", profile", err, codes.PermissionDenied, "GRANT_NEEDED")
		_, err = r.contacts.ListContacts(ctx, &customerv1.ListContactsRequest{CustomerId: made.GetId()})
		refused(t, name+", contacts", err, codes.PermissionDenied, "GRANT_NEEDED")
		_, err = r.orders.ListOrders(ctx, &customerv1.ListOrdersRequest{CustomerId: made.GetId()})
		refused(t, name+", orders", err, codes.PermissionDenied, "GRANT_NEEDED")
		_, err = r.orders.ListInstalledProducts(ctx, &customerv1.ListInstalledProductsRequest{CustomerId: made.GetId()})
		refused(t, name+", products", err, codes.PermissionDenied, "GRANT_NEEDED")
	}
	for name, c := range map[string]struct {
		ctx          context.Context
		phone, right string
	}{
		"the account manager": {r.AsStaff(access.CRMSpecialist, "owner"), "+8613800138000", "team/role:crm-specialist/customers.read"},
		"the account team":    {r.AsStaff(access.ServiceAgent, "colleague"), "138****8000", "team/role:service-agent/customers.readmasked"},
		"the administrator":   {r.AsPerson("admin", access.InformationAdministrator), "+8613800138000", "role:information-administrator/customers.read"},
		"a manager":           {r.As(access.ServiceManager), "138****8000", "role:service-manager/customers.readmasked"},
		"a system":            {r.AsAccount("erp", "customers.read"), "+8613800138000", "service-account/customers.read"},
		"the customer":        {r.AsCustomer(made.GetId()), "+8613800138000", "role:customer/customers.read"},
	} {
		got, err := r.read(c.ctx, made.GetId())
		if err != nil || got.GetPhone() != c.phone {
			t.Errorf("%s reads %v, %v; want %s", name, got.GetPhone(), err, c.phone)
		}
		if n := r.rights(t, made.GetId(), c.right); n != 1 {
			t.Errorf("%s left %d records by the right %s", name, n, c.right)
		}
	}
}

func TestChangesOfKeyCustomers(t *testing.T) {
	r := start(t)
	team := newID(t)
	made := r.key(t, r.hire(t, "owner", team))
	id := made.GetId()
	contact := r.addContact(t, id, &customerv1.Contact{Name: "王五", Phone: "13912345678"})
	outside, inside := r.As(access.CRMSpecialist), r.AsStaff(access.CRMSpecialist, "owner")
	changes := map[string]func(context.Context) error{
		"update": func(ctx context.Context) error {
			_, err := r.customers.UpdateCustomer(ctx, &customerv1.UpdateCustomerRequest{
				Customer: &customerv1.Customer{Id: id, Region: "华东"}, UpdateMask: mask("region")})
			return err
		},
		"contact": func(ctx context.Context) error {
			_, err := r.contacts.CreateContact(ctx, &customerv1.CreateContactRequest{CustomerId: id, Contact: &customerv1.Contact{Name: "x"}})
			return err
		},
		"change of a contact": func(ctx context.Context) error {
			_, err := r.contacts.UpdateContact(ctx, &customerv1.UpdateContactRequest{
				Contact: &customerv1.Contact{Id: contact.GetId(), CustomerId: id, Name: "y"}, UpdateMask: mask("name")})
			return err
		},
	}
	for name, change := range changes {
		refused(t, name, change(outside), codes.PermissionDenied, "FILE_CLOSED")
		if err := change(inside); err != nil {
			t.Errorf("%s by the account team: %v", name, err)
		}
	}
	_, err := r.contacts.DeleteContact(outside, &customerv1.DeleteContactRequest{CustomerId: id, Id: contact.GetId()})
	refused(t, "removal", err, codes.PermissionDenied, "FILE_CLOSED")
	told, err := r.customers.SetConsent(outside, consent(id, marketing, true))
	if err != nil || told.GetPhone() != "" || told.GetEmail() != "" || told.GetAddress() != nil || len(told.GetConsents()) != 1 {
		t.Errorf("recording consent shows of a closed file %v, %v", told, err)
	}
}

func TestWhoMayNotKnowOfACustomer(t *testing.T) {
	r := start(t)
	me := r.hire(t, "sales-1", newID(t))
	c := full()
	c.OwnerStaffId = me
	mine := r.make(t, c)
	c.OwnerStaffId = newID(t)
	others := r.make(t, c)
	sales := r.AsStaff(access.Salesperson, "sales-1")
	_, err := r.read(sales, mine.GetId())
	refused(t, "their own", err, codes.PermissionDenied, "GRANT_NEEDED")
	for name, id := range map[string]string{"another's": others.GetId(), "nobody's": newID(t)} {
		_, err = r.read(sales, id)
		refused(t, name, err, codes.NotFound, "CUSTOMER_NOT_FOUND")
		_, err = r.contacts.GetContact(sales, &customerv1.GetContactRequest{CustomerId: id, Id: newID(t)})
		refused(t, name+", a contact", err, codes.NotFound, "CONTACT_NOT_FOUND")
		_, err = r.orders.ListOrders(sales, &customerv1.ListOrdersRequest{CustomerId: id})
		refused(t, name+", orders", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	}
	// Who sees no customers at all hears the same of one that is there and one that is not.
	for _, role := range []string{access.SupportEngineer, access.QCInspector, access.CompanyManager, access.AfterSalesSpecialist} {
		for _, id := range []string{mine.GetId(), newID(t)} {
			_, err = r.read(r.As(role), id)
			refused(t, role, err, codes.PermissionDenied, "GRANT_NEEDED")
		}
	}
	if n := r.count(t, `SELECT count(*) FROM file_reads`); n != 0 {
		t.Errorf("%d reads were counted of refused calls", n)
	}
}

func TestSearchByPhoneNeedsTheWholeNumber(t *testing.T) {
	r := start(t)
	c := full()
	c.OwnerStaffId = r.hire(t, "sales-1", newID(t))
	r.make(t, c)
	for name, ctx := range map[string]context.Context{
		"an agent": r.As(access.ServiceAgent), "a salesperson": r.AsStaff(access.Salesperson, "sales-1"),
		"a specialist": r.As(access.CRMSpecialist), "a sales manager": r.As(access.SalesManager),
	} {
		whole := r.list(t, ctx, &customerv1.ListCustomerSummariesRequest{Query: "138 0013 8000"})
		mail := r.list(t, ctx, &customerv1.ListCustomerSummariesRequest{Query: "zhang.san@example.com"})
		last4 := r.list(t, ctx, &customerv1.ListCustomerSummariesRequest{Query: "8000"})
		if len(whole) != 1 || len(mail) != 1 || (len(last4) == 1) != (name == "a specialist") {
			t.Errorf("%s finds %q, %q and by four digits %q", name, whole, mail, last4)
		}
	}
}

// A role that masks a file shows all of it under a grant, and masks it again at its end.
func TestAGrantShowsAMaskedFile(t *testing.T) {
	r := start(t)
	plain, masked := "+8613800138000", "138****8000"
	agent, colleague, boss := r.As(access.ServiceAgent), r.AsStaff(access.ServiceAgent, "colleague"), r.As(access.SalesManager)
	reads := func(when string, ctx context.Context, id, want string) {
		t.Helper()
		if got, err := r.read(ctx, id); err != nil || got.GetPhone() != want {
			t.Errorf("%s: reads %q, %v; want %q", when, got.GetPhone(), err, want)
		}
	}
	granted, survivor, refusedOne, revoked, glass := r.make(t, full()), r.make(t, file("survivor")), r.make(t, full()), r.make(t, full()), r.make(t, full())
	reads("before", agent, granted.GetId(), masked)
	asked := r.ask(t, agent, wanting(granted.GetId()))
	reads("while it is pending", agent, granted.GetId(), masked)
	if _, err := r.approve(boss, asked.GetId()); err != nil {
		t.Fatal(err)
	}
	reads("under the grant", agent, granted.GetId(), plain)
	reads("a colleague", colleague, granted.GetId(), masked)
	reads("another file", agent, revoked.GetId(), masked)
	if got, err := r.read(agent, granted.GetId()); err != nil || got.GetEtag() != granted.GetEtag() {
		t.Errorf("the grant makes the version %q of %q, %v", got.GetEtag(), granted.GetEtag(), err)
	}
	if _, err := r.Pool.Exec(t.Context(), `UPDATE customers SET merged_into = $2 WHERE id = $1`, granted.GetId(), survivor.GetId()); err != nil {
		t.Fatal(err)
	}
	reads("merged into another", agent, granted.GetId(), plain)
	if got, err := r.read(agent, survivor.GetId()); err != nil || r.rights(t, survivor.GetId(), "role:service-agent/customers.readmasked") != 1 {
		t.Errorf("a grant for a merged file opens the other: %v, %v", got, err)
	}
	r.Clock.Advance(7 * 24 * time.Hour)
	agent, colleague, boss = r.As(access.ServiceAgent), r.AsStaff(access.ServiceAgent, "colleague"), r.As(access.SalesManager)
	reads("after its end", agent, granted.GetId(), masked)

	asked = r.ask(t, agent, wanting(refusedOne.GetId()))
	if _, err := r.requests.RefuseAccessRequest(boss, &customerv1.RefuseAccessRequestRequest{Id: asked.GetId(), Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	reads("refused", agent, refusedOne.GetId(), masked)
	asked = r.ask(t, agent, wanting(revoked.GetId()))
	if _, err := r.approve(boss, asked.GetId()); err != nil {
		t.Fatal(err)
	}
	reads("before it is revoked", agent, revoked.GetId(), plain)
	if _, err := r.requests.RevokeAccessRequest(boss, &customerv1.RevokeAccessRequestRequest{Id: asked.GetId(), Reason: "done"}); err != nil {
		t.Fatal(err)
	}
	reads("revoked", agent, revoked.GetId(), masked)

	r.breakGlass(t, agent, glass.GetId())
	reads("broken glass", agent, glass.GetId(), plain)
	reads("broken glass, a colleague", colleague, glass.GetId(), masked)
	r.Clock.Advance(time.Hour)
	reads("an hour after", r.As(access.ServiceAgent), glass.GetId(), masked)
}
