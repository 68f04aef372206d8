package server_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

func (k *kit) all() []*surveyv1.Invitation {
	k.t.Helper()
	list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{})
	if err != nil {
		k.t.Fatal(err)
	}
	return list.GetInvitations()
}

func resolved(t *testing.T, ticket, customer string, round int32) *eventv1.Envelope {
	t.Helper()
	return envelope(t, "ticket.resolved.v1", ticket, customer, &ticketv1.TicketChanged{Round: round})
}

func told(t *testing.T, complaint, customer string, round int32) *eventv1.Envelope {
	t.Helper()
	return envelope(t, "complaint.told.v1", complaint, customer, &complaintv1.ComplaintChanged{Round: round})
}

func changed(t *testing.T, customer string, consent bool, version int64) *eventv1.Envelope {
	t.Helper()
	return envelope(t, customerref.TypeChanged, customer, customer, &customerv1.CustomerChanged{Customer: ref(customer, consent, version)})
}

func TestAResolvedTicketAsksOnce(t *testing.T) {
	k := newKit(t)
	customer, ticket := k.customer(), uuid.NewString()
	for _, e := range []*eventv1.Envelope{resolved(t, ticket, customer, 1), resolved(t, ticket, customer, 1)} {
		for range 2 {
			if err := k.feed(k.server.OnTicket, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := k.all()
	if len(got) != 1 {
		t.Fatalf("%d invitations", len(got))
	}
	i := got[0]
	if i.GetQuestionnaireId() != ticketSurvey || i.GetVersion() != 1 || i.GetTicketId() != ticket || i.GetRound() != 1 ||
		i.GetCustomerId() != customer || i.GetLanguage() != "en" || i.GetState() != pending {
		t.Errorf("invitation %v", i)
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE link_hash IS NOT NULL`); n != 0 {
		t.Error("it has a link that nobody was given")
	}
	e, payload := last[*surveyv1.InvitationChanged](t, k, "invitation.created.v1")
	if e.GetCustomerId() != customer || e.GetActorId() != "survey" || payload.GetTicketId() != ticket || payload.GetState() != "pending" {
		t.Errorf("event %v", e)
	}
	if n := k.count(`SELECT count(*) FROM audit_records WHERE object_id = $1 AND cause_event_id IS NOT NULL`, i.GetId()); n != 1 {
		t.Errorf("%d audit records with their cause", n)
	}
	if err := k.feed(k.server.OnTicket, resolved(t, ticket, customer, 2)); err != nil {
		t.Fatal(err)
	}
	if got := k.all(); len(got) != 2 || got[0].GetRound() != 2 {
		t.Errorf("the second round: %v", got)
	}
}

func TestAToldComplaintAsksOnce(t *testing.T) {
	k := newKit(t)
	customer, complaint := k.customer(), uuid.NewString()
	for _, round := range []int32{1, 1, 2} {
		if err := k.feed(k.server.OnComplaint, told(t, complaint, customer, round)); err != nil {
			t.Fatal(err)
		}
	}
	got := k.all()
	if len(got) != 2 || got[0].GetQuestionnaireId() != complaintSurvey || got[0].GetComplaintId() != complaint ||
		got[0].GetTicketId() != "" || got[0].GetRound() != 2 || got[1].GetRound() != 1 {
		t.Errorf("invitations %v", got)
	}
}

func TestWhoIsNotAsked(t *testing.T) {
	k := newKit(t)
	customer := k.customer()
	historic := resolved(t, uuid.NewString(), customer, 1)
	historic.Historic = true
	for name, c := range map[string]struct {
		handle func(context.Context, pgx.Tx, *eventv1.Envelope) error
		e      *eventv1.Envelope
	}{
		"historic":            {k.server.OnTicket, historic},
		"ticket of nobody":    {k.server.OnTicket, resolved(t, uuid.NewString(), "", 1)},
		"complaint of nobody": {k.server.OnComplaint, told(t, uuid.NewString(), "", 1)},
		"reopened":            {k.server.OnTicket, envelope(t, "ticket.reopened.v1", uuid.NewString(), customer, &ticketv1.TicketChanged{Round: 2})},
		"closed":              {k.server.OnComplaint, envelope(t, "complaint.closed.v1", uuid.NewString(), customer, &complaintv1.ComplaintChanged{Round: 1})},
		"unknown type":        {k.server.OnTicket, envelope(t, "ticket.sung.v9", uuid.NewString(), customer, &ticketv1.TicketChanged{})},
	} {
		if err := k.feed(c.handle, c.e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(k.all()); n != 0 {
			t.Fatalf("%s: asked", name)
		}
	}
}

// trigger publishes the draft with another trigger.
func (k *kit) trigger(id string, trigger surveyv1.Trigger) {
	k.t.Helper()
	_, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: id, Trigger: trigger}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"trigger"}}})
	if err != nil {
		k.t.Fatal(err)
	}
	k.publish(id)
}

func TestTheQuestionnairePublishedLastIsSent(t *testing.T) {
	k := newKit(t)
	// The seeds are published at the time of the migration, which the test's clock does not know.
	k.Clock.Set(time.Now().Add(time.Hour))
	customer := k.customer()
	asks := func() string {
		t.Helper()
		ticket := uuid.NewString()
		if err := k.feed(k.server.OnTicket, resolved(t, ticket, customer, 1)); err != nil {
			t.Fatal(err)
		}
		list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{TicketId: ticket})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.GetInvitations()) == 0 {
			return ""
		}
		return list.GetInvitations()[0].GetQuestionnaireId()
	}
	first, second := k.draft(question("a", rating)).GetId(), k.draft(question("a", rating)).GetId()
	step := func(what, want string) {
		t.Helper()
		if got := asks(); got != want {
			t.Errorf("%s: %q is sent, want %q", what, got, want)
		}
		k.Clock.Advance(time.Minute)
	}
	step("drafts only", ticketSurvey)
	k.trigger(first, surveyv1.Trigger_TRIGGER_TICKET_RESOLVED)
	step("another one", first)
	k.trigger(second, surveyv1.Trigger_TRIGGER_TICKET_RESOLVED)
	step("a third one", second)
	k.trigger(second, surveyv1.Trigger_TRIGGER_COMPLAINT_TOLD)
	step("the third one moved to complaints", first)
	k.trigger(first, surveyv1.Trigger_TRIGGER_UNSPECIFIED)
	step("the other one without trigger", ticketSurvey)
	k.trigger(ticketSurvey, surveyv1.Trigger_TRIGGER_UNSPECIFIED)
	step("none left", "")
}

func TestWithdrawnConsentRevokesWhatIsPending(t *testing.T) {
	k := newKit(t)
	customer, other := k.customer(), k.customer()
	q := k.published(question("a", rating)).GetId()
	done, first, foreign := k.invite(q, customer), k.invite(q, customer), k.invite(q, other)
	if err := k.feed(k.server.OnTicket, resolved(t, uuid.NewString(), customer, 1)); err != nil {
		t.Fatal(err)
	}
	k.submit(done.GetToken(), score("a", 5))
	if err := k.feed(k.server.OnCustomer, changed(t, customer, true, 2)); err != nil {
		t.Fatal(err)
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 1`); n != 3 {
		t.Fatalf("%d pending after a change that left consent alone", n)
	}
	e := changed(t, customer, false, 3)
	for range 2 {
		if err := k.feed(k.server.OnCustomer, e); err != nil {
			t.Fatal(err)
		}
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 4 AND end_reason = 'consent withdrawn' AND end_actor = 'survey'`); n != 2 {
		t.Errorf("%d revoked", n)
	}
	_, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: first.GetToken()})
	refused(t, err, codes.FailedPrecondition, "INVITATION_REVOKED")
	if _, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: foreign.GetToken()}); err != nil {
		t.Errorf("another customer's link: %v", err)
	}
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type = 'invitation.revoked.v1'`); n != 2 {
		t.Errorf("%d events", n)
	}
	// An older event that comes late changes nothing; consent given again asks again.
	if err := k.feed(k.server.OnCustomer, changed(t, customer, true, 2)); err != nil {
		t.Fatal(err)
	}
	_, err = k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{Invitation: &surveyv1.Invitation{QuestionnaireId: q, CustomerId: customer}})
	refused(t, err, codes.FailedPrecondition, "CONSENT_WITHDRAWN")
	if err := k.feed(k.server.OnCustomer, changed(t, customer, true, 4)); err != nil {
		t.Fatal(err)
	}
	k.invite(q, customer)
}

// Whether an invitation or the withdrawal comes first, no pending one remains.
func TestConsentWithdrawnWhileInviting(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating)).GetId()
	for range 10 {
		customer := k.customer()
		done := make(chan error, 2)
		go func() {
			_, err := k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{
				Invitation: &surveyv1.Invitation{QuestionnaireId: q, CustomerId: customer}})
			if status.Code(err) == codes.FailedPrecondition {
				err = nil
			}
			done <- err
		}()
		go func() {
			e := changed(t, customer, false, 2)
			done <- pg.InTx(t.Context(), k.Pool, func(tx pgx.Tx) error { return k.server.OnCustomer(t.Context(), tx, e) })
		}()
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := k.count(`SELECT count(*) FROM invitations WHERE customer_id = $1 AND state = 1`, customer); n != 0 {
			t.Fatal("an invitation without consent is pending")
		}
	}
}

func TestACustomerNotKnownYet(t *testing.T) {
	k := newKit(t)
	ctx, cancel := context.WithCancel(t.Context())
	fetched := make(chan error, 1)
	go func() { fetched <- k.server.FetchMissing(ctx) }()
	customer := uuid.NewString()
	e := resolved(t, uuid.NewString(), customer, 1)
	if err := k.feed(k.server.OnTicket, e); !errors.Is(err, customerref.ErrUnknown) {
		t.Fatalf("the registry does not know the customer: %v", err)
	}
	// It must not be taken for an outage, in which the whole stream would wait.
	if err := k.feed(k.server.OnTicket, e); status.Code(err) == codes.Unavailable || pg.Unavailable(err) {
		t.Errorf("refused by %v", err)
	}
	k.registry.set(func(r *registry) { r.known[customer] = ref(customer, true, 1) })
	deadline := time.Now().Add(10 * time.Second)
	for k.feed(k.server.OnTicket, e) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the registry knows the customer, and the event still fails")
		}
		time.Sleep(time.Millisecond)
	}
	if got := k.all(); len(got) != 1 || got[0].GetCustomerId() != customer {
		t.Errorf("invitations %v", got)
	}
	cancel()
	if err := <-fetched; err != nil {
		t.Error(err)
	}
}

func TestHandlersOnFaultyEvents(t *testing.T) {
	k := newKit(t)
	customer := k.customer()
	wrong := envelope(t, "ticket.resolved.v1", uuid.NewString(), customer, &complaintv1.ComplaintChanged{Round: 1})
	subject := resolved(t, "x", customer, 1)
	owner := told(t, uuid.NewString(), "x", 1)
	for name, err := range map[string]error{
		"payload of another kind": k.feed(k.server.OnTicket, wrong),
		"subject is no id":        k.feed(k.server.OnTicket, subject),
		"customer is no id":       k.feed(k.server.OnComplaint, owner),
	} {
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if got := k.all(); len(got) != 0 || slices.Contains(k.types(), "invitation.created.v1") {
		t.Errorf("invitations %v", got)
	}
}
