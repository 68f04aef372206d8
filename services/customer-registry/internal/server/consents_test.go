package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const surveys = customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS

func TestConsentHistory(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	crm, self := r.As(access.CRMSpecialist), r.AsCustomer(made.GetId())
	for i, ctx := range []context.Context{crm, self, crm} {
		if _, err := r.customers.SetConsent(ctx, consent(made.GetId(), marketing, i%2 == 0)); err != nil {
			t.Fatal(err)
		}
		r.Clock.Advance(time.Hour)
	}
	history := func(ctx context.Context) (out []*customerv1.Consent) {
		t.Helper()
		req := &customerv1.ListConsentsRequest{CustomerId: made.GetId(), PageSize: 2}
		for {
			page, err := r.consents.ListConsents(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, page.GetConsents()...)
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				return out
			}
		}
	}
	all := history(crm)
	if len(all) != 3 || !all[0].GetGranted() || all[1].GetGranted() || !strings.HasSuffix(all[0].GetRecorder(), "|tester-crm-specialist") ||
		!strings.HasSuffix(all[1].GetRecorder(), "|"+made.GetId()) || all[1].GetWordingVersion() != "v1" || all[1].GetChannel() != typev1.Channel_CHANNEL_PHONE {
		t.Errorf("history %v", all)
	}
	if seen := history(self); len(seen) != 3 || slices.ContainsFunc(seen, func(c *customerv1.Consent) bool { return c.GetRecorder() != "" }) {
		t.Errorf("the customer sees %v", seen)
	}
	_, err := r.consents.ListConsents(r.AsCustomer(newID(t)), &customerv1.ListConsentsRequest{CustomerId: made.GetId()})
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.consents.ListConsents(crm, &customerv1.ListConsentsRequest{CustomerId: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.consents.ListConsents(crm, &customerv1.ListConsentsRequest{CustomerId: "x"})
	refused(t, "no id", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer_id")
	_, err = r.consents.ListConsents(r.As(access.Salesperson), &customerv1.ListConsentsRequest{CustomerId: made.GetId()})
	refused(t, "a salesperson", err, codes.PermissionDenied, "PERMISSION_DENIED")
}

// message is a request with a request id of its own.
func (r *registry) message(t *testing.T, id string, purpose customerv1.ConsentPurpose) *customerv1.ReserveContactRequest {
	t.Helper()
	return &customerv1.ReserveContactRequest{CustomerId: id, Kind: "survey", Purpose: purpose, RequestId: newID(t)}
}

func (r *registry) reserve(t *testing.T, req *customerv1.ReserveContactRequest) *customerv1.ContactReservation {
	t.Helper()
	got, err := r.consents.ReserveContact(r.AsService("survey"), req)
	if err != nil {
		t.Fatalf("ReserveContact(%v): %v", req, err)
	}
	return got
}

func TestReserveContact(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	id := made.GetId()
	crm := r.As(access.CRMSpecialist)
	agree := func(purpose customerv1.ConsentPurpose, granted bool) {
		t.Helper()
		if _, err := r.customers.SetConsent(crm, consent(id, purpose, granted)); err != nil {
			t.Fatal(err)
		}
	}
	held := func(what string, req *customerv1.ReserveContactRequest, want customerv1.HeldBack) *customerv1.ContactReservation {
		t.Helper()
		got := r.reserve(t, req)
		if got.GetHeldBack() != want || got.GetGranted() != (want == 0) || (got.GetId() == "") != (want != 0) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		return got
	}
	held("no consent to surveys", r.message(t, id, surveys), customerv1.HeldBack_HELD_BACK_NO_CONSENT)
	agree(surveys, true)
	first := r.message(t, id, surveys)
	granted := held("with consent", first, 0)
	if again := r.reserve(t, first); again.GetId() != granted.GetId() {
		t.Errorf("the same request: %v, want %v", again, granted)
	}
	used := held("within the month", r.message(t, id, surveys), customerv1.HeldBack_HELD_BACK_BUDGET_USED)
	if !used.GetBudgetTime().AsTime().Equal(r.Clock.Now().Add(30 * 24 * time.Hour)) {
		t.Errorf("free again at %v", used.GetBudgetTime().AsTime())
	}
	other := r.message(t, id, surveys)
	other.Kind = "care"
	held("another kind", other, 0)
	caused := r.message(t, id, quality)
	caused.EventId = newID(t)
	held("an event's", caused, 0)
	twice := r.message(t, id, quality)
	twice.EventId = caused.GetEventId()
	if got := held("the event's second", twice, customerv1.HeldBack_HELD_BACK_BUDGET_USED); got.GetBudgetTime() != nil {
		t.Errorf("an event's budget becomes free at %v", got.GetBudgetTime())
	}
	// The outcomes of requests are forgotten after a week, a reservation is not.
	if _, err := r.Pool.Exec(t.Context(), `DELETE FROM idempotency_outcomes`); err != nil {
		t.Fatal(err)
	}
	if again := r.reserve(t, first); again.GetId() != granted.GetId() || !again.GetGranted() {
		t.Errorf("the same request after a week: %v", again)
	}
	r.Clock.Advance(30 * 24 * time.Hour)
	mail := r.message(t, id, surveys)
	mail.Channel = typev1.Channel_CHANNEL_EMAIL
	held("by mail after the month", mail, 0)
	bare := r.make(t, file("no phone"))
	sms := r.message(t, bare.GetId(), quality)
	sms.Channel = typev1.Channel_CHANNEL_SMS
	held("no phone", sms, customerv1.HeldBack_HELD_BACK_NO_CHANNEL)
	person := r.addContact(t, bare.GetId(), &customerv1.Contact{Name: "王五", Phone: "13912345678"})
	sms = r.message(t, bare.GetId(), quality)
	sms.Channel, sms.ContactId = typev1.Channel_CHANNEL_SMS, person.GetId()
	held("a contact's phone", sms, 0)
	agree(surveys, false)
	held("withdrawn", r.message(t, id, surveys), customerv1.HeldBack_HELD_BACK_WITHDRAWN)
	agree(quality, false)
	held("service quality withdrawn", r.message(t, id, quality), customerv1.HeldBack_HELD_BACK_WITHDRAWN)
	if n := r.count(t, `SELECT count(*) FROM event_outbox WHERE type = 'contact.reserved.v1'`); n != 5 {
		t.Errorf("%d events of 5 reservations", n)
	}
}

func TestReserveContactRefuses(t *testing.T) {
	r := start(t)
	made, other := r.make(t, full()), r.make(t, file("other"))
	for field, spoil := range map[string]func(*customerv1.ReserveContactRequest){
		"customer_id": func(q *customerv1.ReserveContactRequest) { q.CustomerId = "x" },
		"contact_id":  func(q *customerv1.ReserveContactRequest) { q.ContactId = "x" },
		"kind":        func(q *customerv1.ReserveContactRequest) { q.Kind = "Survey" },
		"purpose":     func(q *customerv1.ReserveContactRequest) { q.Purpose = 0 },
		"event_id":    func(q *customerv1.ReserveContactRequest) { q.EventId = "x" },
		"request_id":  func(q *customerv1.ReserveContactRequest) { q.RequestId = strings.Repeat("x", 65) },
	} {
		req := r.message(t, made.GetId(), quality)
		spoil(req)
		_, err := r.consents.ReserveContact(r.AsService("survey"), req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := r.consents.ReserveContact(r.AsService("survey"), r.message(t, newID(t), quality))
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	req := r.message(t, other.GetId(), quality)
	req.ContactId = r.addContact(t, made.GetId(), &customerv1.Contact{Name: "x"}).GetId()
	_, err = r.consents.ReserveContact(r.AsService("survey"), req)
	refused(t, "a contact of another", err, codes.NotFound, "CONTACT_NOT_FOUND")
	for _, ctx := range []context.Context{r.admin(), r.AsService("complaint"), r.AsAccount("x", "consents.write")} {
		_, err = r.consents.ReserveContact(ctx, r.message(t, made.GetId(), quality))
		refused(t, "not a sender", err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
	req = r.message(t, made.GetId(), quality)
	r.reserve(t, req)
	req.Kind = "care"
	_, err = r.consents.ReserveContact(r.AsService("survey"), req)
	refused(t, "another body", err, codes.AlreadyExists, "REQUEST_ID_REUSED")
}

// Of fifty senders at once exactly one is granted.
func TestReserveContactRace(t *testing.T) {
	r := start(t)
	cause := newID(t)
	for name, spoil := range map[string]func(*customerv1.ReserveContactRequest){
		"the month": func(*customerv1.ReserveContactRequest) {},
		"an event":  func(q *customerv1.ReserveContactRequest) { q.Purpose, q.EventId = quality, cause },
	} {
		made := r.make(t, full())
		if _, err := r.customers.SetConsent(r.As(access.CRMSpecialist), consent(made.GetId(), surveys, true)); err != nil {
			t.Fatal(err)
		}
		answers := make([]*customerv1.ContactReservation, 50)
		var wg sync.WaitGroup
		for i := range answers {
			req := r.message(t, made.GetId(), surveys)
			req.RequestId = fmt.Sprint(name, " ", i)
			spoil(req)
			wg.Go(func() {
				var err error
				if answers[i], err = r.consents.ReserveContact(r.AsService("survey"), req); err != nil {
					t.Errorf("%s, call %d: %v", name, i, err)
				}
			})
		}
		wg.Wait()
		granted := 0
		for _, a := range answers {
			if a.GetGranted() {
				granted++
			} else if a.GetHeldBack() != customerv1.HeldBack_HELD_BACK_BUDGET_USED {
				t.Errorf("%s: %v", name, a)
			}
		}
		if granted != 1 {
			t.Errorf("%s: %d of 50 were granted, want exactly one", name, granted)
		}
	}
}
