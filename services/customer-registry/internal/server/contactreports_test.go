package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// contactProposal reports another phone, e-mail and role of a contact.
func contactProposal(customer, contact string) *customerv1.CreateChangeReportRequest {
	return &customerv1.CreateChangeReportRequest{ChangeReport: &customerv1.ChangeReport{
		CustomerId: customer, Contact: &customerv1.Contact{
			Id: contact, Phone: "13700137000", Email: "Li@neu.example", DecisionRole: customerv1.DecisionRole_DECISION_ROLE_INITIATOR,
		},
		UpdateMask: mask("phone", "email", "decision_role"), Note: "名片已更换", Source: customerv1.ValueSource_VALUE_SOURCE_CUSTOMER,
	}}
}

func (r *registry) reportContact(t *testing.T, customer, contact string) *customerv1.ChangeReport {
	t.Helper()
	made, err := r.reports.CreateChangeReport(r.As(access.Salesperson), contactProposal(customer, contact))
	if err != nil {
		t.Fatalf("CreateChangeReport: %v", err)
	}
	return made
}

func TestAContactsChangeIsApplied(t *testing.T) {
	r := start(t)
	made := r.make(t, full()).GetId()
	contact := r.addContact(t, made, person("李四"))
	report := r.reportContact(t, made, contact.GetId())
	if report.GetDueTime() == nil || report.GetContact().GetId() != contact.GetId() || report.GetCustomer() != nil {
		t.Errorf("reported %v", report)
	}
	read := func() *customerv1.Contact {
		t.Helper()
		got, err := r.contacts.GetContact(r.admin(), &customerv1.GetContactRequest{CustomerId: made, Id: contact.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(); got.GetPhone() != contact.GetPhone() {
		t.Errorf("a report that is not decided changed the phone to %s", got.GetPhone())
	}
	if n := r.count(t, `SELECT count(*) FROM change_reports WHERE encode(proposal, 'escape') LIKE '%137%'`); n != 0 {
		t.Error("the proposal is stored in plain")
	}
	mine, err := r.reports.GetChangeReport(r.As(access.Salesperson), &customerv1.GetChangeReportRequest{Id: report.GetId()})
	if err != nil || mine.GetContact().GetPhone() != "" {
		t.Errorf("a salesperson, who sees no phones, reads %v, %v", mine, err)
	}
	applied, err := r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()})
	if err != nil || applied.GetState() != customerv1.ChangeReportState_CHANGE_REPORT_STATE_APPLIED {
		t.Fatalf("applied %v, %v", applied, err)
	}
	got := read()
	if got.GetPhone() != "+8613700137000" || got.GetEmail() != "li@neu.example" || got.GetName() != contact.GetName() ||
		got.GetDecisionRole() != customerv1.DecisionRole_DECISION_ROLE_INITIATOR {
		t.Errorf("the contact is %v", got)
	}
	changes, err := r.files.ListCustomerChanges(r.admin(), &customerv1.ListCustomerChangesRequest{CustomerId: made})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]*customerv1.CustomerChange{}
	for _, c := range changes.GetChanges() {
		if c.GetContactId() == contact.GetId() {
			kept[c.GetField()] = c
		}
	}
	for _, field := range []string{"phone", "email", "decision_role"} {
		if c := kept[field]; c == nil || c.GetBefore() == c.GetAfter() || c.GetSource() != customerv1.ValueSource_VALUE_SOURCE_CUSTOMER {
			t.Errorf("the history of %s is %v", field, c)
		}
	}
	for _, e := range r.Events(t) {
		if strings.Contains(e.String(), "13700137000") {
			t.Errorf("an event holds the phone: %v", e)
		}
	}
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()})
	refused(t, "twice", err, codes.FailedPrecondition, "CHANGE_REPORT_DECIDED")
}

func TestAContactsChangeIsRefused(t *testing.T) {
	r := start(t)
	made, other := r.make(t, full()).GetId(), r.make(t, full()).GetId()
	contact := r.addContact(t, made, person("李四")).GetId()
	for name, c := range map[string]struct {
		change func(*customerv1.ChangeReport)
		code   codes.Code
		reason string
		fields []string
	}{
		"a bad phone":         {func(p *customerv1.ChangeReport) { p.Contact.Phone = "12" }, codes.InvalidArgument, "VALIDATION_FAILED", []string{"contact.phone"}},
		"file and contact":    {func(p *customerv1.ChangeReport) { p.Customer = &customerv1.Customer{Region: "x"} }, codes.InvalidArgument, "VALIDATION_FAILED", []string{"change_report.contact"}},
		"no contact's id":     {func(p *customerv1.ChangeReport) { p.Contact.Id = "" }, codes.InvalidArgument, "VALIDATION_FAILED", []string{"change_report.contact.id"}},
		"two customers":       {func(p *customerv1.ChangeReport) { p.Contact.CustomerId = other }, codes.InvalidArgument, "VALIDATION_FAILED", []string{"change_report.contact.customer_id"}},
		"an identity":         {func(p *customerv1.ChangeReport) { p.UpdateMask = mask("customer_id") }, codes.InvalidArgument, "UPDATE_MASK_INVALID", nil},
		"unknown":             {func(p *customerv1.ChangeReport) { p.Contact.Id = newID(t) }, codes.NotFound, "CONTACT_NOT_FOUND", nil},
		"another customer's":  {func(p *customerv1.ChangeReport) { p.CustomerId = other }, codes.NotFound, "CONTACT_NOT_FOUND", nil},
		"of unknown customer": {func(p *customerv1.ChangeReport) { p.CustomerId = newID(t) }, codes.NotFound, "CUSTOMER_NOT_FOUND", nil},
	} {
		req := contactProposal(made, contact)
		c.change(req.GetChangeReport())
		_, err := r.reports.CreateChangeReport(r.As(access.Salesperson), req)
		refused(t, name, err, c.code, c.reason, c.fields...)
	}
	_, err := r.reports.CreateChangeReport(r.AsCustomer(other), contactProposal(made, contact))
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")

	mine, err := r.reports.CreateChangeReport(r.admin(), contactProposal(made, contact))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: mine.GetId()})
	refused(t, "one's own", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")

	report := r.reportContact(t, made, contact)
	if _, err := r.contacts.DeleteContact(r.admin(), &customerv1.DeleteContactRequest{CustomerId: made, Id: contact}); err != nil {
		t.Fatal(err)
	}
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()})
	refused(t, "of a contact that is gone", err, codes.NotFound, "CONTACT_NOT_FOUND")
	gone, err := r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: report.GetId(), Reason: "联系人已离职"})
	if err != nil || gone.GetContact().GetId() != contact || gone.GetContact().GetPhone() != "" || gone.GetRefuseReason() == "" {
		t.Errorf("refused afterwards %v, %v", gone, err)
	}
}
