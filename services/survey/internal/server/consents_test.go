package server_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// decided is a decision on consent as the registry tells it; service quality stays agreed to.
func decided(t *testing.T, customer string, purpose customerv1.ConsentPurpose, granted bool, version int64) *eventv1.Envelope {
	t.Helper()
	e := envelope(t, customerref.TypeChanged, customer, customer, &customerv1.CustomerChanged{
		Customer: ref(customer, true, version), Decision: &customerv1.ConsentDecision{Purpose: purpose, Granted: granted},
	})
	e.SubjectVersion = version
	return e
}

func TestWithdrawnSurveysRevokeWhatWasMadeByHand(t *testing.T) {
	k := newKit(t)
	customer, other := k.customer(), k.customer()
	q := k.published(question("a", rating)).GetId()
	done, first, foreign := k.invite(q, customer), k.invite(q, customer), k.invite(q, other)
	k.submit(done.GetToken(), score("a", 5))
	// What a service caused rests on the purpose of service quality.
	if err := k.feed(k.server.OnTicket, resolved(t, uuid.NewString(), customer, 1)); err != nil {
		t.Fatal(err)
	}
	pending := func(want int, when string) {
		t.Helper()
		if n := k.count(`SELECT count(*) FROM invitations WHERE customer_id = $1 AND state = 1`, customer); n != want {
			t.Errorf("%s: %d pending, want %d", when, n, want)
		}
	}
	for _, e := range []*eventv1.Envelope{
		decided(t, customer, surveysConsent, true, 2),
		decided(t, customer, customerv1.ConsentPurpose_CONSENT_PURPOSE_MARKETING, false, 3),
		changed(t, customer, true, 4),
	} {
		if err := k.feed(k.server.OnCustomer, e); err != nil {
			t.Fatal(err)
		}
	}
	pending(2, "after other decisions")
	withdrawal := decided(t, customer, surveysConsent, false, 5)
	for range 2 {
		if err := k.feed(k.server.OnCustomer, withdrawal); err != nil {
			t.Fatal(err)
		}
	}
	pending(1, "after the withdrawal")
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 4 AND end_reason = 'consent withdrawn' AND ticket_id IS NULL`); n != 1 {
		t.Errorf("%d revoked", n)
	}
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type = 'invitation.revoked.v1'`); n != 1 {
		t.Errorf("%d events", n)
	}
	_, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: first.GetToken()})
	refused(t, err, codes.FailedPrecondition, "INVITATION_REVOKED")
	if _, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: foreign.GetToken()}); err != nil {
		t.Errorf("another customer's link: %v", err)
	}
	// What was heard last counts, whatever comes late.
	if err := k.feed(k.server.OnCustomer, decided(t, customer, surveysConsent, true, 2)); err != nil {
		t.Fatal(err)
	}
	_, err = k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{Invitation: &surveyv1.Invitation{QuestionnaireId: q, CustomerId: customer}})
	refused(t, err, codes.FailedPrecondition, "CONSENT_WITHDRAWN")
	if err := k.feed(k.server.OnCustomer, decided(t, customer, surveysConsent, true, 6)); err != nil {
		t.Fatal(err)
	}
	k.invite(q, customer)
	pending(2, "after consent was given again")
}

// Whether an invitation or the withdrawal comes first, no pending one remains.
func TestSurveysWithdrawnWhileInviting(t *testing.T) {
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
			e := decided(t, customer, surveysConsent, false, 2)
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

// Nobody who withdrew is reminded, whichever of the two consents it was.
func TestWhoeverWithdrewIsNotReminded(t *testing.T) {
	k := newKit(t)
	ids := k.customers(3, typev1.Tier_TIER_C)
	c := k.campaign(func(c *surveyv1.Campaign) { c.ReminderDays = []int32{7, 14} })
	k.schedule(c.GetId())
	if p := k.run(c.GetId()); p.GetCounts().GetAsked() != 3 {
		t.Fatalf("progress %v", p)
	}
	for _, e := range []*eventv1.Envelope{decided(t, ids[0], surveysConsent, false, 2), changed(t, ids[1], false, 2)} {
		if err := k.feed(k.server.OnCustomer, e); err != nil {
			t.Fatal(err)
		}
	}
	k.Clock.Advance(7 * day)
	k.run(c.GetId())
	k.Clock.Advance(7 * day)
	p := k.run(c.GetId())
	if got := short(p.GetCounts()); got != "audience 3, sampled 3, waiting 0, asked 3, held back 0, dropped 0, answered 0, unanswered 2, reminders 2" {
		t.Error(got)
	}
	for _, m := range k.sender.sent {
		if m.Reminder && m.CustomerID.String() != ids[2] {
			t.Errorf("customer %s is reminded", m.CustomerID)
		}
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 4 AND end_reason = 'consent withdrawn'`); n != 2 || len(k.sender.sent) != 5 {
		t.Errorf("%d revoked, %d messages", n, len(k.sender.sent))
	}
}

// A reminder that is written while its customer withdraws does not leave after the withdrawal.
func TestWithdrawnWhileReminding(t *testing.T) {
	k := newKit(t)
	ids := k.customers(12, typev1.Tier_TIER_C)
	c := k.campaign(func(c *surveyv1.Campaign) { c.ReminderDays = []int32{7} })
	k.schedule(c.GetId())
	k.run(c.GetId())
	k.Clock.Advance(7 * day)
	// Reminders are due, and the driver is away until all have withdrawn.
	k.sender.refuses = true
	done := make(chan error, len(ids)+1)
	go func() { done <- k.server.AdvanceCampaigns(t.Context()) }()
	for _, id := range ids {
		e := decided(t, id, surveysConsent, false, 2)
		go func() {
			done <- pg.InTx(t.Context(), k.Pool, func(tx pgx.Tx) error { return k.server.OnCustomer(t.Context(), tx, e) })
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	k.sender.refuses = false
	k.run(c.GetId())
	if n := k.count(`SELECT count(*) FROM survey_messages WHERE state IN (1, 2)`) + k.count(`SELECT count(*) FROM invitations WHERE state = 1`); n != 0 || len(k.sender.sent) != 12 {
		t.Errorf("%d are pending or due, %d messages left", n, len(k.sender.sent))
	}
}

const surveysConsent = customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS
