package server_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// A low score, the ticket it opened, and the second score to the same question are one trace.
func TestALowScoreIsTracedToItsSecondAsking(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("b", rating)).GetId()
	customer, ticket := k.customer(), uuid.NewString()
	receipt := k.submit(k.invite(q, customer).GetToken(), score("a", 4), score("b", 1))
	event := func(kind string, version int64, at time.Time, state ticketv1.TicketState) {
		t.Helper()
		e := envelope(t, kind, ticket, customer, &ticketv1.TicketChanged{Number: "T-1", Round: 1, StateAfter: state, EvidenceAnswerId: receipt.GetAnswerId()})
		e.SubjectVersion, e.OccurTime = version, timestamppb.New(at)
		if err := k.feed(k.server.OnTicket, e); err != nil {
			t.Fatal(err)
		}
	}
	trace := func() *surveyv1.AnswerTrace {
		t.Helper()
		out, err := surveyv1.NewFollowUpServiceClient(k.Conn).GetAnswerTrace(k.crm(), &surveyv1.GetAnswerTraceRequest{QuestionnaireId: q, AnswerId: receipt.GetAnswerId()})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := trace(); !got.GetLow() || got.GetQuestionKey() != "b" || got.GetScore() != 1 || len(got.GetFollowUps()) != 0 ||
		!got.GetDueTime().AsTime().Equal(receipt.GetAnswerTime().AsTime().Add(time.Hour)) {
		t.Errorf("before the ticket %v", got)
	}
	opened := k.Clock.Now()
	event("ticket.created.v1", 1, opened, ticketv1.TicketState_TICKET_STATE_NEW)
	k.Clock.Advance(48 * time.Hour)
	event("ticket.resolved.v1", 4, k.Clock.Now(), ticketv1.TicketState_TICKET_STATE_RESOLVED)
	got := trace().GetFollowUps()
	if len(got) != 1 || got[0].GetNumber() != "T-1" || !got[0].GetInTime() || !got[0].GetOpenTime().AsTime().Equal(opened) ||
		got[0].GetResolveTime() == nil || len(got[0].GetAskings()) != 0 {
		t.Fatalf("follow-ups %v", got)
	}
	// A week later the same questionnaire is asked, not the one about tickets.
	k.Clock.Advance(7 * day)
	if err := k.server.MakeInvitations(t.Context()); err != nil {
		t.Fatal(err)
	}
	asking := trace().GetFollowUps()[0].GetAskings()
	if len(asking) != 1 || asking[0].GetState() != surveyv1.InvitationState_INVITATION_STATE_PENDING || asking[0].Score != nil {
		t.Fatalf("second asking %v", asking)
	}
	again, err := k.invitations.IssueLink(k.crm(), &surveyv1.IssueLinkRequest{Id: asking[0].GetInvitationId()})
	if err != nil || again.GetInvitation().GetQuestionnaireId() != q {
		t.Fatalf("asked again %v, %v", again, err)
	}
	second := k.submit(again.GetToken(), score("a", 3), score("b", 5))
	asking = trace().GetFollowUps()[0].GetAskings()
	if len(asking) != 1 || asking[0].GetAnswerId() != second.GetAnswerId() || asking[0].GetScore() != 5 {
		t.Errorf("second score %v", asking)
	}
	if k.flagged(q) != "0 flagged, 0 excluded: 0 0 0 0 0" {
		t.Error("the second answer is taken for a duplicate")
	}
}

func TestALateFollowUpIsTold(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating)).GetId()
	receipt := k.submit(k.invite(q, k.customer()).GetToken(), score("a", 1))
	e := envelope(t, "ticket.created.v1", uuid.NewString(), "", &ticketv1.TicketChanged{EvidenceAnswerId: receipt.GetAnswerId()})
	e.OccurTime = timestamppb.New(receipt.GetAnswerTime().AsTime().Add(time.Hour + time.Second))
	if err := k.feed(k.server.OnTicket, e); err != nil {
		t.Fatal(err)
	}
	client := surveyv1.NewFollowUpServiceClient(k.Conn)
	trace, err := client.GetAnswerTrace(k.crm(), &surveyv1.GetAnswerTraceRequest{QuestionnaireId: q, AnswerId: receipt.GetAnswerId()})
	if err != nil || len(trace.GetFollowUps()) != 1 || trace.GetFollowUps()[0].GetInTime() {
		t.Errorf("trace %v, %v", trace, err)
	}
	_, err = client.GetAnswerTrace(k.crm(), &surveyv1.GetAnswerTraceRequest{QuestionnaireId: ticketSurvey, AnswerId: receipt.GetAnswerId()})
	refused(t, err, codes.NotFound, "ANSWER_NOT_FOUND")
}

// delivered is the event of an order.
func delivered(t *testing.T, order, customer string, at time.Time) *eventv1.Envelope {
	return envelope(t, "order.recorded.v1", order, customer, &customerv1.OrderRecorded{OrderNumber: "S-1", DeliveryTime: timestamppb.New(at)})
}

func (k *kit) triggeredBy(trigger surveyv1.Trigger) string {
	k.t.Helper()
	q, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Title: both("title"), Trigger: trigger, Questions: []*surveyv1.Question{question("a", rating)}}})
	if err != nil {
		k.t.Fatal(err)
	}
	return k.publish(q.GetId()).GetId()
}

func TestDeliveriesAreAskedAboutOnce(t *testing.T) {
	k := newKit(t)
	ofDelivery, ofUse := k.triggeredBy(surveyv1.Trigger_TRIGGER_PRODUCT_DELIVERED), k.triggeredBy(surveyv1.Trigger_TRIGGER_FIRST_DELIVERY)
	customer, order := k.customer(), uuid.NewString()
	at := k.Clock.Now()
	feed := func(e *eventv1.Envelope) {
		t.Helper()
		if err := k.feed(k.server.OnCustomer, e); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(q string) int { return k.count(`SELECT count(*) FROM invitations WHERE questionnaire_id = $1`, q) }
	// Recorded before it was delivered, delivered, and corrected afterwards.
	feed(envelope(t, "order.recorded.v1", order, customer, &customerv1.OrderRecorded{OrderNumber: "S-1"}))
	feed(delivered(t, order, customer, at))
	feed(delivered(t, order, customer, at))
	if asked(ofDelivery) != 1 || asked(ofUse) != 0 {
		t.Fatalf("%d and %d asked", asked(ofDelivery), asked(ofUse))
	}
	feed(delivered(t, uuid.NewString(), customer, at.Add(day)))
	if asked(ofDelivery) != 2 {
		t.Errorf("%d asked about two deliveries", asked(ofDelivery))
	}
	k.Clock.Set(at.Add(30*day - time.Second))
	if err := k.server.MakeInvitations(t.Context()); err != nil || asked(ofUse) != 0 {
		t.Errorf("asked before 30 days: %v", err)
	}
	k.Clock.Advance(time.Second)
	if err := k.server.MakeInvitations(t.Context()); err != nil || asked(ofUse) != 1 {
		t.Errorf("not asked after 30 days: %v", err)
	}
	list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{CustomerId: customer})
	if err != nil || list.GetInvitations()[0].GetTrigger() != surveyv1.Trigger_TRIGGER_FIRST_DELIVERY || list.GetInvitations()[2].GetOrderId() != order {
		t.Errorf("invitations %v, %v", list, err)
	}
	// Whoever bought before is no new customer, and history asks nobody.
	old := k.customer()
	past := delivered(t, uuid.NewString(), old, at.Add(-400*day))
	past.Historic = true
	feed(past)
	feed(delivered(t, uuid.NewString(), old, k.Clock.Now()))
	k.Clock.Advance(31 * day)
	if err := k.server.MakeInvitations(t.Context()); err != nil || asked(ofUse) != 1 || asked(ofDelivery) != 3 {
		t.Errorf("%d and %d asked, %v", asked(ofDelivery), asked(ofUse), err)
	}
	// The registry is asked under an event of its own for each.
	events := map[string]bool{}
	for _, r := range k.registry.reserved {
		if r.GetPurpose() != customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY || events[r.GetEventId()] {
			t.Errorf("reservation %v", r)
		}
		events[r.GetEventId()] = true
	}
}

// A delivery's survey rests on service quality: surveys withdrawn do not revoke it.
func TestADeliveryIsAServiceMatter(t *testing.T) {
	k := newKit(t)
	k.triggeredBy(surveyv1.Trigger_TRIGGER_PRODUCT_DELIVERED)
	customer := k.customer()
	if err := k.feed(k.server.OnCustomer, delivered(t, uuid.NewString(), customer, k.Clock.Now())); err != nil {
		t.Fatal(err)
	}
	e := envelope(t, "customer.changed.v1", customer, customer, &customerv1.CustomerChanged{Customer: ref(customer, true, 2),
		Decision: &customerv1.ConsentDecision{Purpose: customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS}})
	e.SubjectVersion = 2
	if err := k.feed(k.server.OnCustomer, e); err != nil {
		t.Fatal(err)
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 1`); n != 1 {
		t.Errorf("%d pending", n)
	}
}
