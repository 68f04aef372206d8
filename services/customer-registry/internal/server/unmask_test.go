package server_test

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	thePhone   = customerv1.UnmaskField_UNMASK_FIELD_PHONE
	theEmail   = customerv1.UnmaskField_UNMASK_FIELD_EMAIL
	theAddress = customerv1.UnmaskField_UNMASK_FIELD_ADDRESS
)

func unmask(id string, field customerv1.UnmaskField) *customerv1.UnmaskCustomerRequest {
	return &customerv1.UnmaskCustomerRequest{Id: id, Field: field, Purpose: "call back on ticket T-202611-000001"}
}

func TestUnmask(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	contact := r.addContact(t, made.GetId(), &customerv1.Contact{Name: "王五", Phone: "13912345678"})
	agent := r.As(access.ServiceAgent)
	if got, err := r.customers.UnmaskCustomer(agent, unmask(made.GetId(), thePhone)); err != nil || got.GetValue() != "+8613800138000" || got.GetRemaining() != 19 {
		t.Errorf("phone %v, %v", got, err)
	}
	if got, err := r.customers.UnmaskCustomer(agent, unmask(made.GetId(), theEmail)); err != nil || got.GetValue() != "zhang.san@example.com" || got.GetRemaining() != 18 {
		t.Errorf("e-mail %v, %v", got, err)
	}
	if got, err := r.customers.UnmaskCustomer(agent, unmask(made.GetId(), theAddress)); err != nil || got.GetAddress().GetCity() != "武汉" || got.GetValue() != "" {
		t.Errorf("address %v, %v", got, err)
	}
	of := unmask(made.GetId(), thePhone)
	of.ContactId, of.RequestId = contact.GetId(), "one"
	for range 2 {
		if got, err := r.customers.UnmaskCustomer(agent, of); err != nil || got.GetValue() != "+8613912345678" || got.GetRemaining() != 16 {
			t.Errorf("phone of a contact %v, %v", got, err)
		}
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE action LIKE '%/UnmaskCustomer' AND object_id = $1
		AND access_right = 'role:service-agent/customers.unmask'`, made.GetId()); n != 4 {
		t.Errorf("%d records of four values", n)
	}
	if n := r.count(t, `SELECT count(*) FROM unmasks WHERE purpose = 'call back on ticket T-202611-000001'`); n != 4 {
		t.Errorf("%d purposes kept", n)
	}
	for _, e := range r.Events(t) {
		if e.GetType() == "customer.unmasked.v1" {
			t.Error("unmasking was told to everybody")
		}
	}
}

func TestUnmaskRefuses(t *testing.T) {
	r := start(t)
	made, key := r.make(t, full()), r.key(t, newID(t))
	agent := r.As(access.ServiceAgent)
	for field, spoil := range map[string]func(*customerv1.UnmaskCustomerRequest){
		"id":         func(q *customerv1.UnmaskCustomerRequest) { q.Id = "x" },
		"purpose":    func(q *customerv1.UnmaskCustomerRequest) { q.Purpose = "" },
		"field":      func(q *customerv1.UnmaskCustomerRequest) { q.Field = 0 },
		"contact_id": func(q *customerv1.UnmaskCustomerRequest) { q.ContactId = "x" },
	} {
		req := unmask(made.GetId(), thePhone)
		spoil(req)
		_, err := r.customers.UnmaskCustomer(agent, req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	of := unmask(made.GetId(), theAddress)
	of.ContactId = newID(t)
	_, err := r.customers.UnmaskCustomer(agent, of)
	refused(t, "address of a contact", err, codes.InvalidArgument, "VALIDATION_FAILED", "field")
	of.Field = thePhone
	_, err = r.customers.UnmaskCustomer(agent, of)
	refused(t, "unknown contact", err, codes.NotFound, "CONTACT_NOT_FOUND")
	_, err = r.customers.UnmaskCustomer(agent, unmask(newID(t), thePhone))
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.customers.UnmaskCustomer(agent, unmask(key.GetId(), thePhone))
	refused(t, "a key customer", err, codes.PermissionDenied, "GRANT_NEEDED")
	_, err = r.customers.UnmaskCustomer(r.AsAccount("erp", "customers.unmask"), unmask(made.GetId(), thePhone))
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	for _, role := range []string{access.CRMSpecialist, access.Salesperson, access.SupportEngineer, access.Auditor, access.SalesManager} {
		_, err = r.customers.UnmaskCustomer(r.As(role), unmask(made.GetId(), thePhone))
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
	if n := r.count(t, `SELECT count(*) FROM unmasks`) + r.count(t, `SELECT count(*) FROM unmask_budgets`); n != 0 {
		t.Errorf("%d rows of refused calls", n)
	}
	opened := r.breakGlass(t, agent, key.GetId())
	if got, err := r.customers.UnmaskCustomer(agent, unmask(key.GetId(), thePhone)); err != nil || got.GetValue() != "+8613800138000" {
		t.Errorf("under broken glass: %v, %v", got, err)
	}
	if n := r.rights(t, key.GetId(), "break-glass:"+opened.GetId()); n != 1 {
		t.Errorf("%d records name the opening", n)
	}
}

// Twenty a day and person, however many calls come at once.
func TestUnmaskBudget(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	agent := r.As(access.ServiceAgent)
	// 17:00 in Shanghai.
	r.Clock.Set(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC))
	errs := make([]error, 26)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = r.customers.UnmaskCustomer(agent, unmask(made.GetId(), thePhone)) })
	}
	wg.Wait()
	granted := 0
	for _, err := range errs {
		if err == nil {
			granted++
			continue
		}
		refused(t, "beyond", err, codes.ResourceExhausted, "UNMASK_BUDGET_USED")
	}
	if granted != 20 {
		t.Errorf("%d of 26 were granted, want 20", granted)
	}
	if _, err := r.customers.UnmaskCustomer(r.AsStaff(access.ServiceAgent, "colleague"), unmask(made.GetId(), thePhone)); err != nil {
		t.Errorf("a colleague's own budget: %v", err)
	}
	r.Clock.Set(time.Date(2026, 11, 25, 15, 59, 59, 0, time.UTC))
	_, err := r.customers.UnmaskCustomer(agent, unmask(made.GetId(), thePhone))
	refused(t, "a second before midnight", err, codes.ResourceExhausted, "UNMASK_BUDGET_USED")
	if len(status.Convert(err).Details()) < 3 {
		t.Errorf("it does not say when to come again: %v", status.Convert(err).Details())
	}
	r.Clock.Set(time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC))
	if got, err := r.customers.UnmaskCustomer(agent, unmask(made.GetId(), thePhone)); err != nil || got.GetRemaining() != 19 {
		t.Errorf("on the next day: %v, %v", got, err)
	}
}
