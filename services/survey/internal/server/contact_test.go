package server_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

const heldBack = surveyv1.InvitationState_INVITATION_STATE_HELD_BACK

func (k *kit) hold(customer string, why customerv1.HeldBack) {
	k.registry.set(func(r *registry) { r.held[customer] = why })
}

func TestWhatIsHeldBackSaysWhy(t *testing.T) {
	k := newKit(t)
	withdrawnHere := uuid.NewString()
	if _, err := customerref.Apply(t.Context(), k.Pool, ref(withdrawnHere, false, 1)); err != nil {
		t.Fatal(err)
	}
	want := map[string]customerv1.HeldBack{withdrawnHere: customerv1.HeldBack_HELD_BACK_WITHDRAWN}
	for _, why := range []customerv1.HeldBack{
		customerv1.HeldBack_HELD_BACK_NO_CONSENT, customerv1.HeldBack_HELD_BACK_WITHDRAWN,
		customerv1.HeldBack_HELD_BACK_BUDGET_USED, customerv1.HeldBack_HELD_BACK_NO_CHANNEL,
	} {
		customer := k.customer()
		k.hold(customer, why)
		want[customer] = why
	}
	for customer := range want {
		e := resolved(t, uuid.NewString(), customer, 1)
		for range 2 {
			if err := k.feed(k.server.OnTicket, e); err != nil {
				t.Fatal(err)
			}
		}
		list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{TicketId: e.GetSubjectId()})
		if err != nil || len(list.GetInvitations()) != 1 {
			t.Fatalf("%v: %v, %v", want[customer], list, err)
		}
		got := list.GetInvitations()[0]
		if got.GetState() != heldBack || got.GetHeldBack() != want[customer] {
			t.Errorf("held back as %v, want %v", got, want[customer])
		}
		_, err = k.invitations.IssueLink(k.crm(), &surveyv1.IssueLinkRequest{Id: got.GetId()})
		refused(t, err, codes.FailedPrecondition, "INVITATION_WRONG_STATE")
	}
	list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{State: heldBack})
	if err != nil || len(list.GetInvitations()) != len(want) {
		t.Errorf("listed by state: %d, %v; want %d", len(list.GetInvitations()), err, len(want))
	}
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type = 'invitation.heldback.v1'`); n != len(want) {
		t.Errorf("%d events, want %d", n, len(want))
	}
	results, err := k.questionnaires.GetResults(k.crm(), &surveyv1.GetResultsRequest{QuestionnaireId: ticketSurvey})
	if err != nil || results.GetInvitations() != 0 {
		t.Errorf("what was never sent counts as an invitation: %v, %v", results, err)
	}
}

func TestTheRegistryIsAskedForTheEvent(t *testing.T) {
	k := newKit(t)
	customer := k.customer()
	e := resolved(t, uuid.NewString(), customer, 1)
	k.registry.set(func(r *registry) { r.down = true })
	if err := k.feed(k.server.OnTicket, e); err == nil {
		t.Error("nothing was said of a registry that is down")
	}
	if len(k.all()) != 0 || k.count(`SELECT count(*) FROM due_invitations`) != 1 {
		t.Error("the invitation does not wait for the registry")
	}
	k.registry.set(func(r *registry) { r.down = false })
	var wg sync.WaitGroup
	for range 4 { // as many replicas
		wg.Go(func() {
			if err := k.server.MakeInvitations(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := k.all(); len(got) != 1 || got[0].GetState() != pending || k.count(`SELECT count(*) FROM due_invitations`) != 0 {
		t.Errorf("invitations %v", got)
	}
	for _, in := range k.registry.reserved {
		if in.GetCustomerId() != customer || in.GetEventId() != e.GetId() || in.GetRequestId() != e.GetId() || in.GetKind() != "survey" ||
			in.GetPurpose() != customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY {
			t.Errorf("asked for %v", in)
		}
	}
}

func TestACustomerTheRegistryDoesNotJudgeWaits(t *testing.T) {
	k := newKit(t)
	strange, known := k.customer(), k.customer()
	k.registry.set(func(r *registry) { r.refused[strange] = true })
	for _, customer := range []string{strange, known} {
		if err := k.feed(k.server.OnTicket, resolved(t, uuid.NewString(), customer, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.all(); len(got) != 1 || got[0].GetCustomerId() != known {
		t.Errorf("one who is not judged holds up the others: %v", got)
	}
	k.registry.set(func(r *registry) { delete(r.refused, strange) })
	if err := k.server.MakeInvitations(t.Context()); err != nil || len(k.all()) != 1 {
		t.Errorf("asked again at once: %v", err)
	}
	k.Clock.Advance(time.Minute)
	if err := k.server.MakeInvitations(t.Context()); err != nil || len(k.all()) != 2 {
		t.Errorf("not asked again: %v", err)
	}
}

func TestInvitingByHandNeedsConsent(t *testing.T) {
	k := newKit(t)
	q, customer := k.published(question("a", rating)).GetId(), k.customer()
	invite := func(questionnaire, request string) error {
		_, err := k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{RequestId: request,
			Invitation: &surveyv1.Invitation{QuestionnaireId: questionnaire, CustomerId: customer}})
		return err
	}
	for why, reason := range map[customerv1.HeldBack]string{
		customerv1.HeldBack_HELD_BACK_NO_CONSENT: "CONSENT_MISSING", customerv1.HeldBack_HELD_BACK_WITHDRAWN: "CONSENT_WITHDRAWN",
		customerv1.HeldBack_HELD_BACK_BUDGET_USED: "CONTACT_BUDGET_USED",
	} {
		k.hold(customer, why)
		refused(t, invite(q, ""), codes.FailedPrecondition, reason)
	}
	k.hold(customer, 0)
	k.registry.set(func(r *registry) { r.reserved = nil })
	// A refusal for another reason uses no budget.
	refused(t, invite(uuid.NewString(), ""), codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	refused(t, invite(k.draft().GetId(), ""), codes.FailedPrecondition, "QUESTIONNAIRE_NOT_PUBLISHED")
	for range 2 {
		if err := invite(q, "one"); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.registry.reserved; len(got) != 2 || got[0].GetRequestId() != got[1].GetRequestId() || got[0].GetEventId() != "" ||
		got[0].GetPurpose() != customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS {
		t.Errorf("the registry was asked %v", got)
	}
	if len(k.all()) != 1 {
		t.Error("a repeated call invited again")
	}
	k.registry.set(func(r *registry) { r.down = true })
	refused(t, invite(q, "two"), codes.Unavailable, "DEPENDENCY_UNAVAILABLE")
}
