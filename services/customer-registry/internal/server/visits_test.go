package server_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const repair = ticketv1.TicketType_TICKET_TYPE_REPAIR

// visit is a ticket as its events tell it.
type visit struct {
	r        *registry
	id       string
	customer string
	version  int64
}

func (v *visit) moves(t *testing.T, kind ticketv1.TicketType, state ticketv1.TicketState, staff string) {
	t.Helper()
	v.version++
	v.r.in(t, v.r.HandleTicket, envelope(t, "ticket.updated.v1", v.id, v.version, v.customer, &ticketv1.TicketChanged{
		Number: "T-202611-000007", Type: kind, StateAfter: state, AssigneeStaffId: staff,
	}))
}

// shut: neither the file nor the people of a customer are open.
func (r *registry) shut(t *testing.T, what string, ctx context.Context, id string) {
	t.Helper()
	_, err := r.read(ctx, id)
	refused(t, what, err, codes.PermissionDenied, "GRANT_NEEDED")
	_, err = r.contacts.ListContacts(ctx, &customerv1.ListContactsRequest{CustomerId: id})
	refused(t, what+", contacts", err, codes.PermissionDenied, "GRANT_NEEDED")
}

// leads: name, address and phones are shown, and what leads nowhere is not.
func (r *registry) leads(t *testing.T, what string, ctx context.Context, made *customerv1.Customer, contact *customerv1.Contact) {
	t.Helper()
	got, err := r.read(ctx, made.GetId())
	if err != nil || got.GetPhone() != made.GetPhone() || got.GetAddress().GetStreet() == "" || got.GetName() == "" ||
		got.GetEmail() == made.GetEmail() || len(got.GetTags()) > 0 || len(got.GetConsents()) > 0 || got.GetTierReason() != "" {
		t.Errorf("%s: %v, %v", what, got, err)
	}
	page, err := r.contacts.ListContacts(ctx, &customerv1.ListContactsRequest{CustomerId: made.GetId()})
	if err != nil || len(page.GetContacts()) != 1 || page.GetContacts()[0].GetPhone() != contact.GetPhone() || page.GetContacts()[0].GetEmail() == contact.GetEmail() {
		t.Errorf("%s: contacts %v, %v", what, page, err)
	}
}

// TestAVisitShowsTheWayThere: the assignee of an open repair has address and phone of its
// customer, whatever the customer's value, and nobody else's, and no longer than that.
func TestAVisitShowsTheWayThere(t *testing.T) {
	r := start(t)
	made, stranger := r.key(t, newID(t)), r.make(t, full())
	contact := r.addContact(t, made.GetId(), person("王五"))
	fitter, colleague := r.hire(t, "fitter", newID(t)), r.hire(t, "colleague", newID(t))
	me, other := r.AsStaff(access.AfterSalesSpecialist, "fitter"), r.AsStaff(access.AfterSalesSpecialist, "colleague")
	v := &visit{r: r, id: newID(t), customer: made.GetId()}
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_NEW, "")
	r.shut(t, "before the assignment", me, made.GetId())
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_ASSIGNED, fitter)
	r.leads(t, "assigned", me, made, contact)
	r.shut(t, "a colleague", other, made.GetId())
	r.shut(t, "another customer", me, stranger.GetId())
	r.shut(t, "in a role that visits nobody", r.AsStaff(access.SupportEngineer, "fitter"), made.GetId())
	r.onlyTheWay(t, me, made.GetId())
	if got, err := r.contacts.GetContact(me, &customerv1.GetContactRequest{CustomerId: made.GetId(), Id: contact.GetId()}); err != nil ||
		got.GetPhone() != contact.GetPhone() || got.GetDecisionRole() != 0 {
		t.Errorf("one contact: %v, %v", got, err)
	}
	if n := r.rights(t, made.GetId(), "ticket:"+v.id); n != 2 { // the file and the list
		t.Errorf("%d records name the ticket", n)
	}
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_WAITING, fitter)
	r.leads(t, "waiting", me, made, contact)
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_IN_PROGRESS, colleague)
	r.shut(t, "handed on", me, made.GetId())
	r.leads(t, "taken over", other, made, contact)
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_RESOLVED, colleague)
	r.shut(t, "resolved", other, made.GetId())
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_ASSIGNED, fitter)
	r.leads(t, "reopened", me, made, contact)
	v.moves(t, ticketv1.TicketType_TICKET_TYPE_CONSULTATION, ticketv1.TicketState_TICKET_STATE_ASSIGNED, fitter)
	r.shut(t, "it is no repair after all", me, made.GetId())
	v.moves(t, ticketv1.TicketType_TICKET_TYPE_INSTALLATION, ticketv1.TicketState_TICKET_STATE_ASSIGNED, fitter)
	r.leads(t, "an installation", me, made, contact)
	v.customer = stranger.GetId()
	v.moves(t, ticketv1.TicketType_TICKET_TYPE_RETURN, ticketv1.TicketState_TICKET_STATE_ASSIGNED, fitter)
	r.shut(t, "it is another customer's", me, made.GetId())
	if _, err := r.read(me, stranger.GetId()); err != nil {
		t.Errorf("the other customer: %v", err)
	}
	v.moves(t, ticketv1.TicketType_TICKET_TYPE_RETURN, ticketv1.TicketState_TICKET_STATE_CLOSED, fitter)
	r.shut(t, "closed", me, stranger.GetId())
	r.reviewed(t, fitter)
}

// onlyTheWay: what is no way to the customer stays closed.
func (r *registry) onlyTheWay(t *testing.T, ctx context.Context, id string) {
	t.Helper()
	_, err := r.customers.GetProfile(ctx, &customerv1.GetProfileRequest{CustomerId: id})
	refused(t, "profile", err, codes.PermissionDenied, "GRANT_NEEDED")
	_, err = r.orders.ListOrders(ctx, &customerv1.ListOrdersRequest{CustomerId: id})
	refused(t, "orders", err, codes.PermissionDenied, "GRANT_NEEDED")
	_, err = r.orders.ListInstalledProducts(ctx, &customerv1.ListInstalledProductsRequest{CustomerId: id})
	refused(t, "products", err, codes.PermissionDenied, "GRANT_NEEDED")
	_, err = r.customers.UnmaskCustomer(ctx, &customerv1.UnmaskCustomerRequest{Id: id, Field: customerv1.UnmaskField_UNMASK_FIELD_EMAIL, Purpose: "x"})
	refused(t, "unmask", err, codes.PermissionDenied, "PERMISSION_DENIED")
}

// reviewed: the quarterly review counts reads for visits apart.
func (r *registry) reviewed(t *testing.T, staff string) {
	t.Helper()
	got := r.review(t, "2026-q4")
	for _, reader := range got.GetReaders() {
		if reader.GetStaffId() == staff && reader.GetByTicket() == reader.GetReads() && reader.GetReads() > 0 {
			return
		}
	}
	t.Errorf("the review has %v", got.GetReaders())
}

// A desk whose role masks a file sees the way in plain for a repair of its own.
func TestAVisitOfSomebodyWhoSeesItMasked(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	staff := r.hire(t, "both", newID(t))
	v := &visit{r: r, id: newID(t), customer: made.GetId()}
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_ASSIGNED, staff)
	both := r.AsPerson("both", access.ServiceAgent, access.AfterSalesSpecialist)
	if got, err := r.read(both, made.GetId()); err != nil || got.GetPhone() != made.GetPhone() || got.GetEmail() == made.GetEmail() {
		t.Errorf("%v, %v", got, err)
	}
	v.moves(t, repair, ticketv1.TicketState_TICKET_STATE_CLOSED, staff)
	if got, err := r.read(both, made.GetId()); err != nil || got.GetPhone() == made.GetPhone() {
		t.Errorf("after it: %v, %v", got, err)
	}
}
