package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// stale is the etag of no row: whoever is let through with it changes nothing.
const stale = "999"

func failed[T any](_ T, err error) error { return err }

// ledger is a registry of the files of these, overdue.
type ledger struct {
	*registry
	t                 *testing.T
	numbers, contacts map[string]string
}

// opens makes a file of an account manager, of a key customer or not.
func (l *ledger) opens(owner string, key bool) string {
	l.t.Helper()
	c := full()
	c.OwnerStaffId = owner
	made := l.make(l.t, c)
	id := made.GetId()
	l.numbers[id], l.contacts[id] = made.GetNumber(), l.addContact(l.t, id, person("李四")).GetId()
	if _, err := l.Pool.Exec(l.t.Context(), `UPDATE customers SET review_due_time = $2 WHERE id = $1`, id, l.Clock.Now().Add(-time.Hour)); err != nil {
		l.t.Fatal(err)
	}
	if key {
		if _, err := l.customers.SetTier(l.admin(), l.tier(id, 300)); err != nil {
			l.t.Fatal(err)
		}
	}
	return id
}

// rows are files of the caller's own, opened to them by a grant if they may ask for one, of
// their team, and of others.
func (l *ledger) rows(role string, ctx context.Context, me, colleague, stranger string, key bool) map[accesstest.Reach]string {
	l.t.Helper()
	own := l.opens(me, key)
	if role != access.Auditor {
		asked := l.ask(l.t, ctx, wanting(own))
		decider := l.AsPerson("decider", access.CompanyManager)
		if _, err := l.approve(decider, asked.GetId()); err != nil {
			l.t.Fatal(err)
		}
	}
	return map[accesstest.Reach]string{
		accesstest.Own: own, accesstest.Team: l.opens(colleague, key), accesstest.Company: l.opens(stranger, key),
	}
}

func shows(found bool, err error) error {
	if err == nil && !found {
		err = status.Error(codes.NotFound, "not listed")
	}
	return err
}

func (l *ledger) customerAttempts() map[string]accesstest.Attempt {
	c := l.customers
	return map[string]accesstest.Attempt{
		"CreateCustomer": func(ctx context.Context, _ string) error {
			return failed(c.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{Customer: file("made")}))
		},
		"ImportCustomers": func(ctx context.Context, _ string) error {
			return failed(c.ImportCustomers(ctx, &customerv1.ImportCustomersRequest{Purpose: "first load", Source: "erp", Records: []*customerv1.CustomerRecord{
				{ExternalId: "1", Customer: file("imported")}}}))
		},
		"GetCustomer": func(ctx context.Context, id string) error { return failed(l.read(ctx, id)) },
		"GetProfile": func(ctx context.Context, id string) error {
			return failed(c.GetProfile(ctx, &customerv1.GetProfileRequest{CustomerId: id}))
		},
		"UpdateCustomer": func(ctx context.Context, id string) error {
			return failed(c.UpdateCustomer(ctx, &customerv1.UpdateCustomerRequest{
				Customer: &customerv1.Customer{Id: id, Region: "x", Etag: stale}, UpdateMask: mask("region")}))
		},
		"SetTier": func(ctx context.Context, id string) error {
			return failed(c.SetTier(ctx, &customerv1.SetTierRequest{
				Id: id, Tier: tierB, Reason: "x", EndTime: timestamppb.New(l.Clock.Now().Add(time.Hour)), Etag: stale}))
		},
		"SetConsent": func(ctx context.Context, id string) error {
			req := consent(id, marketing, true)
			req.Etag = stale
			return failed(c.SetConsent(ctx, req))
		},
		"UnmaskCustomer": func(ctx context.Context, id string) error {
			return failed(c.UnmaskCustomer(ctx, &customerv1.UnmaskCustomerRequest{Id: id, Field: customerv1.UnmaskField_UNMASK_FIELD_PHONE, Purpose: "x"}))
		},
		"ListCustomerSummaries": func(ctx context.Context, id string) error {
			page, err := c.ListCustomerSummaries(ctx, &customerv1.ListCustomerSummariesRequest{Query: l.numbers[id]})
			return shows(len(page.GetCustomerSummaries()) == 1, err)
		},
		"ResolveCustomer": func(ctx context.Context, id string) error {
			return failed(c.ResolveCustomer(ctx, &customerv1.ResolveCustomerRequest{Id: id}))
		},
	}
}

func (l *ledger) contactAttempts() map[string]accesstest.Attempt {
	c := l.registry.contacts
	return map[string]accesstest.Attempt{
		"CreateContact": func(ctx context.Context, id string) error {
			return failed(c.CreateContact(ctx, &customerv1.CreateContactRequest{CustomerId: id, Contact: person("added")}))
		},
		"GetContact": func(ctx context.Context, id string) error { return failed(l.getContact(ctx, id, l.contacts[id])) },
		"ListContacts": func(ctx context.Context, id string) error {
			return failed(c.ListContacts(ctx, &customerv1.ListContactsRequest{CustomerId: id}))
		},
		"UpdateContact": func(ctx context.Context, id string) error {
			return failed(c.UpdateContact(ctx, &customerv1.UpdateContactRequest{
				Contact: &customerv1.Contact{CustomerId: id, Id: l.contacts[id], Name: "x", Etag: stale}, UpdateMask: mask("name")}))
		},
		"DeleteContact": func(ctx context.Context, id string) error {
			return failed(c.DeleteContact(ctx, &customerv1.DeleteContactRequest{CustomerId: id, Id: l.contacts[id], Etag: stale}))
		},
		"VerifyContact": func(ctx context.Context, id string) error {
			return failed(l.verify(ctx, &customerv1.Contact{CustomerId: id, Id: l.contacts[id]}, stale, "phone"))
		},
	}
}

func (l *ledger) fileAttempts() map[string]accesstest.Attempt {
	c := l.files
	return map[string]accesstest.Attempt{
		"GetFieldStates": func(ctx context.Context, id string) error {
			return failed(c.GetFieldStates(ctx, &customerv1.GetFieldStatesRequest{Id: id}))
		},
		"VerifyCustomer": func(ctx context.Context, id string) error {
			return failed(c.VerifyCustomer(ctx, &customerv1.VerifyCustomerRequest{Id: id, Fields: []string{"name"}, Method: "x", Etag: stale}))
		},
		"ConfirmCustomer": func(ctx context.Context, id string) error {
			return failed(c.ConfirmCustomer(ctx, &customerv1.ConfirmCustomerRequest{Id: id, Etag: stale}))
		},
		"RetireCustomer": func(ctx context.Context, id string) error {
			return failed(c.RetireCustomer(ctx, &customerv1.RetireCustomerRequest{Id: id, Reason: "x", Etag: stale}))
		},
		"RestoreCustomer": func(ctx context.Context, id string) error {
			return failed(c.RestoreCustomer(ctx, &customerv1.RestoreCustomerRequest{Id: id, Etag: stale}))
		},
		"ListCustomerChanges": func(ctx context.Context, id string) error {
			return failed(c.ListCustomerChanges(ctx, &customerv1.ListCustomerChangesRequest{CustomerId: id}))
		},
		"ListOverdueFiles": func(ctx context.Context, id string) error {
			page, err := c.ListOverdueFiles(ctx, &customerv1.ListOverdueFilesRequest{PageSize: 500})
			return shows(slices.ContainsFunc(page.GetOverdueFiles(), func(f *customerv1.OverdueFile) bool { return f.GetCustomerId() == id }), err)
		},
		"ListMaintenancePlans": func(ctx context.Context, _ string) error {
			return failed(c.ListMaintenancePlans(ctx, &customerv1.ListMaintenancePlansRequest{}))
		},
		"SetMaintenancePlan": func(ctx context.Context, _ string) error {
			return failed(c.SetMaintenancePlan(ctx, &customerv1.SetMaintenancePlanRequest{Id: "lapsed", Actions: []string{"x"}, ContactIntervalDays: 1, Etag: stale}))
		},
	}
}

func (l *ledger) purchaseAttempts() map[string]accesstest.Attempt {
	return map[string]accesstest.Attempt{
		"ListOrders": func(ctx context.Context, id string) error {
			return failed(l.orders.ListOrders(ctx, &customerv1.ListOrdersRequest{CustomerId: id}))
		},
		"ListInstalledProducts": func(ctx context.Context, id string) error {
			return failed(l.orders.ListInstalledProducts(ctx, &customerv1.ListInstalledProductsRequest{CustomerId: id}))
		},
		"UpsertOrder": func(ctx context.Context, id string) error {
			return failed(l.orders.UpsertOrder(ctx, &customerv1.UpsertOrderRequest{CustomerId: id, Order: l.order("O-" + id)}))
		},
		"UpsertInstalledProduct": func(ctx context.Context, id string) error {
			return failed(l.orders.UpsertInstalledProduct(ctx, &customerv1.UpsertInstalledProductRequest{CustomerId: id, InstalledProduct: l.product("SN-" + id)}))
		},
	}
}

func (l *ledger) consentAttempts() map[string]accesstest.Attempt {
	return map[string]accesstest.Attempt{
		"ListConsents": func(ctx context.Context, id string) error {
			return failed(l.consents.ListConsents(ctx, &customerv1.ListConsentsRequest{CustomerId: id}))
		},
		"ReserveContact": func(ctx context.Context, id string) error {
			return failed(l.consents.ReserveContact(ctx, l.message(l.t, id, customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY)))
		},
	}
}

func (l *ledger) matrices() []*accesstest.Matrix {
	out := []*accesstest.Matrix{
		accesstest.NewMatrix(l.t, &customerv1.CustomerService_ServiceDesc, l.customerAttempts()),
		accesstest.NewMatrix(l.t, &customerv1.ContactService_ServiceDesc, l.contactAttempts()),
		accesstest.NewMatrix(l.t, &customerv1.FileService_ServiceDesc, l.fileAttempts()),
		accesstest.NewMatrix(l.t, &customerv1.OrderService_ServiceDesc, l.purchaseAttempts()),
		accesstest.NewMatrix(l.t, &customerv1.ConsentService_ServiceDesc, l.consentAttempts()),
	}
	for _, m := range out {
		m.Rowless = []string{"CreateCustomer", "ImportCustomers", "ListMaintenancePlans", "SetMaintenancePlan"}
		m.Bare = []string{"grants.use", "visits.read", "customers.unmask"}
	}
	return out
}

// lineOnly are the methods that open nothing of a file: they are the same for key customers.
func lineOnly(method string) bool {
	return slices.Contains([]string{
		"CreateCustomer", "ImportCustomers", "ListCustomerSummaries", "SetConsent", "SetTier", "ListConsents", "ListOverdueFiles",
		"ListMaintenancePlans", "SetMaintenancePlan", "UpsertOrder", "UpsertInstalledProduct",
	}, method)
}

// ofKeyCustomers is how far a role reaches among the files of key customers: whoever is
// trusted with them as far as elsewhere, everybody else no further than their team.
func ofKeyCustomers(role string) func(accesstest.Line) accesstest.Reach {
	trusted := slices.Contains([]string{access.InformationAdministrator, access.ServiceManager, access.SalesManager, access.CompanyManager}, role)
	return func(l accesstest.Line) accesstest.Reach {
		if reach := l.Role(role); reach != accesstest.Company || trusted || lineOnly(l.Name()) {
			return reach
		}
		return accesstest.Team
	}
}

// TestMatrixOnRows asserts every method of files × every caller × a customer of their own, of
// their team and of others, key customers and not.
func TestMatrixOnRows(t *testing.T) {
	l := &ledger{registry: start(t), t: t, numbers: map[string]string{}, contacts: map[string]string{}}
	team := newID(t)
	colleague, stranger := l.hire(t, "colleague", team), l.hire(t, "stranger", newID(t))
	matrices := l.matrices()
	for _, role := range accesstest.Roles() {
		if role == access.Customer {
			own, other := l.opens(stranger, false), l.opens(stranger, false)
			for _, m := range matrices {
				m.Role(role, l.AsCustomer(own), map[accesstest.Reach]string{accesstest.Own: own, accesstest.Company: other})
			}
			continue
		}
		me, ctx := l.hire(t, "m-"+role, team), l.AsStaff(role, "m-"+role)
		plain, key := l.rows(role, ctx, me, colleague, stranger, false), l.rows(role, ctx, me, colleague, stranger, true)
		for _, m := range matrices {
			m.Role(role, ctx, plain)
			m.Check(role+", of a key customer,", ctx, func(line accesstest.Line) accesstest.Reach {
				if line.Role(role) != accesstest.None && slices.Contains(m.Rowless, line.Name()) {
					return accesstest.Company
				}
				return ofKeyCustomers(role)(line)
			}, key)
		}
	}
	cells, wrong := 0, 0
	for _, m := range matrices {
		m.Others(l.Service, l.opens(stranger, false))
		cells, wrong = cells+m.Cells, wrong+m.Wrong
	}
	t.Logf("customers: %d cells, %d wrong", cells, wrong)
}
