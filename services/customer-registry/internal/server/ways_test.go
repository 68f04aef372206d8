package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// Whoever asked decides in no pair of roles, whatever else these may.
func TestNoPairOfRolesDecidesOnItsOwnRequest(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	asked := r.ask(t, r.AsPerson("one", access.ServiceAgent), wanting(made.GetId())).GetId()
	glass, err := r.glasses.CreateBreakGlass(r.AsPerson("one", access.ServiceAgent), &customerv1.CreateBreakGlassRequest{
		BreakGlass: &customerv1.BreakGlass{CustomerId: made.GetId(), Reason: "gas leak at the site"}})
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, first := range accesstest.Roles() {
		for _, second := range accesstest.Roles() {
			as := r.AsPerson("one", first, second)
			for name, decide := range map[string]func() error{
				"approve": func() error { _, err := r.approve(as, asked); return err },
				"refuse": func() error {
					_, err := r.requests.RefuseAccessRequest(as, &customerv1.RefuseAccessRequestRequest{Id: asked, Reason: "x"})
					return err
				},
				"review": func() error {
					_, err := r.glasses.ReviewBreakGlass(as, &customerv1.ReviewBreakGlassRequest{Id: glass.GetId(), Justified: true, Note: "x"})
					return err
				},
			} {
				tried++
				reason := "PERMISSION_DENIED"
				for _, role := range []string{first, second} {
					if role == access.SalesManager || role == access.CompanyManager {
						reason = "SECOND_PERSON_NEEDED"
					}
				}
				refused(t, name+" as "+first+" and "+second, decide(), codes.PermissionDenied, reason)
			}
		}
	}
	got, err := r.requests.GetAccessRequest(r.As(access.Auditor), &customerv1.GetAccessRequestRequest{Id: asked})
	if err != nil || got.GetState() != statePending {
		t.Errorf("after %d attempts: %v, %v", tried, got, err)
	}
}

// ways are the reads of a file that a grant opens.
func (r *registry) ways(id, contact string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"file": func(ctx context.Context) error { _, err := r.read(ctx, id); return err },
		"profile": func(ctx context.Context) error {
			_, err := r.customers.GetProfile(ctx, &customerv1.GetProfileRequest{CustomerId: id})
			return err
		},
		"contact": func(ctx context.Context) error { _, err := r.getContact(ctx, id, contact); return err },
		"contacts": func(ctx context.Context) error {
			_, err := r.contacts.ListContacts(ctx, &customerv1.ListContactsRequest{CustomerId: id})
			return err
		},
		"orders": func(ctx context.Context) error {
			_, err := r.orders.ListOrders(ctx, &customerv1.ListOrdersRequest{CustomerId: id})
			return err
		},
		"products": func(ctx context.Context) error {
			_, err := r.orders.ListInstalledProducts(ctx, &customerv1.ListInstalledProductsRequest{CustomerId: id})
			return err
		},
		"unmask": func(ctx context.Context) error {
			_, err := r.customers.UnmaskCustomer(ctx, &customerv1.UnmaskCustomerRequest{
				Id: id, Field: customerv1.UnmaskField_UNMASK_FIELD_PHONE, Purpose: "x"})
			return err
		},
	}
}

// A grant opens every way into a key customer's file, each with its record, and its end
// closes every one.
func TestAGrantOpensAndItsEndClosesEveryWay(t *testing.T) {
	r := start(t)
	made := r.key(t, newID(t))
	contact := r.addContact(t, made.GetId(), person("王五"))
	agent := r.As(access.ServiceAgent)
	ways := r.ways(made.GetId(), contact.GetId())
	for name, way := range ways {
		refused(t, name+" without a grant", way(agent), codes.PermissionDenied, "GRANT_NEEDED")
	}
	asked := r.ask(t, agent, wanting(made.GetId()))
	if _, err := r.approve(r.As(access.SalesManager), asked.GetId()); err != nil {
		t.Fatal(err)
	}
	for name, way := range ways {
		if err := way(agent); err != nil {
			t.Errorf("%s under the grant: %v", name, err)
		}
	}
	of := func(id string) int { return r.rights(t, id, "grant:"+asked.GetId()) }
	if n := of(made.GetId()) + of(contact.GetId()); n != len(ways) {
		t.Errorf("%d records of %d reads", n, len(ways))
	}
	r.Clock.Advance(7 * 24 * time.Hour)
	agent = r.As(access.ServiceAgent) // a token of that day
	for name, way := range ways {
		refused(t, name+" after its end", way(agent), codes.PermissionDenied, "GRANT_EXPIRED")
	}
	if n := of(made.GetId()) + of(contact.GetId()); n != len(ways) {
		t.Errorf("%d records after refused reads", n)
	}
}
