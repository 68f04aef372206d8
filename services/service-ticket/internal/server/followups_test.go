package server_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// answered is the event of an answer.
func answered(t *testing.T, customer string, change func(*eventv1.Envelope, *surveyv1.AnswerReceived)) *eventv1.Envelope {
	t.Helper()
	answer := &surveyv1.AnswerReceived{
		AnswerId: newID(t), QuestionnaireId: newID(t), TicketId: newID(t), Round: 1, Score: 1, Low: true,
		LowQuestionKey: "overall", LowScore: 1,
	}
	env := &eventv1.Envelope{
		Id: newID(t), Position: 1, Type: "answer.received.v1", SubjectId: answer.GetAnswerId(), SubjectVersion: 1,
		CustomerId: customer, RequestId: "from-the-phone",
	}
	if change != nil {
		change(env, answer)
	}
	packed, err := anypb.New(answer)
	if err != nil {
		t.Fatal(err)
	}
	env.Payload = packed
	return env
}

func (w *world) feed(env *eventv1.Envelope) error {
	ctx := w.t.Context()
	return pg.InTx(ctx, w.Pool, func(tx pgx.Tx) error { return w.server.HandleSurvey(ctx, tx, env) })
}

func TestALowAnswerOpensOneFollowUp(t *testing.T) {
	w := newWorld(t)
	customer := w.registered(typev1.Tier_TIER_B)
	env := answered(t, customer.GetId(), nil)
	answer, err := event.Unpack[*surveyv1.AnswerReceived](env)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.feed(env); err != nil {
			t.Fatal(err)
		}
	}
	list, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{AnswerId: answer.GetAnswerId()})
	if err != nil || len(list.GetTickets()) != 1 {
		t.Fatalf("follow-ups %v, %v, want one", list, err)
	}
	got := list.GetTickets()[0]
	want := &ticketv1.Ticket{
		Id: got.GetId(), Number: got.GetNumber(), CustomerId: customer.GetId(), Channel: typev1.Channel_CHANNEL_INTERNAL,
		Mode: ticketv1.Mode_MODE_PROACTIVE, Phase: ticketv1.Phase_PHASE_AFTER_SALE,
		Type: ticketv1.TicketType_TICKET_TYPE_FOLLOW_UP, Priority: ticketv1.Priority_PRIORITY_P2, PrioritySource: byHand, Title: got.GetTitle(),
		State: ticket.New, Round: 1, CreateTime: got.GetCreateTime(), UpdateTime: got.GetUpdateTime(), Etag: "1", PolicyVersion: 1, DueTime: w.in(2),
		Evidence: &ticketv1.Evidence{
			AnswerId: answer.GetAnswerId(), QuestionKey: "overall", Score: 1, TicketId: answer.GetTicketId(),
		},
	}
	if !proto.Equal(got, want) || got.GetTitle() == "" || got.GetNumber() == "" {
		t.Errorf("got %v\nwant %v", got, want)
	}
	w.replay(got.GetId())
	events := w.eventsOf(got.GetId())
	if len(events) != 1 || events[0].GetType() != "ticket.created.v1" || events[0].GetHistoric() ||
		events[0].GetActorId() != "service-ticket" || events[0].GetCustomerId() != customer.GetId() ||
		events[0].GetRequestId() != "from-the-phone" {
		t.Errorf("events %v", events)
	}
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_id = $1 AND cause_event_id = $2", got.GetId(), env.GetId()); n != 1 {
		t.Errorf("%d audit records naming the cause, want 1", n)
	}
	seen, err := w.tickets.GetTicket(w.AsCustomer(customer.GetId()), &ticketv1.GetTicketRequest{Id: got.GetId()})
	if err != nil || seen.GetEvidence() != nil {
		t.Errorf("the customer sees %v, %v, want no evidence", seen, err)
	}
}

func TestTheSameAnswerAtOnceOpensOneFollowUp(t *testing.T) {
	w := newWorld(t)
	env := answered(t, "", nil)
	wins(4, func(int) error { return w.feed(env) })
	if err := w.feed(env); err != nil {
		t.Fatal(err)
	}
	if n := w.count("SELECT count(*) FROM tickets WHERE origin_event_id = $1", env.GetId()); n != 1 {
		t.Errorf("%d follow-ups, want 1", n)
	}
}

func TestAnswersThatOpenNothing(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*eventv1.Envelope, *surveyv1.AnswerReceived){
		"content":    func(_ *eventv1.Envelope, a *surveyv1.AnswerReceived) { a.Low = false },
		"history":    func(e *eventv1.Envelope, _ *surveyv1.AnswerReceived) { e.Historic = true },
		"other type": func(e *eventv1.Envelope, _ *surveyv1.AnswerReceived) { e.Type = "invitation.created.v1" },
	} {
		if err := w.feed(answered(t, "", change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.count("SELECT count(*) FROM tickets"); n != 0 {
		t.Errorf("%d tickets", n)
	}
}

func TestAFollowUpWaitsForTheRegistryAndOutlivesItsCustomer(t *testing.T) {
	w := newWorld(t)
	customer := w.registered(typev1.Tier_TIER_B)
	env := answered(t, customer.GetId(), nil)
	w.registry.stop(true)
	if err := w.feed(env); err == nil {
		t.Error("the registry is down and the event was taken as handled")
	}
	w.registry.stop(false)
	if err := w.feed(env); err != nil {
		t.Fatal(err)
	}
	if n := w.count("SELECT count(*) FROM tickets WHERE origin_event_id = $1 AND customer_id = $2", env.GetId(), customer.GetId()); n != 1 {
		t.Errorf("%d follow-ups of the customer, want 1", n)
	}
	gone := answered(t, nowhere, nil)
	if err := w.feed(gone); err != nil {
		t.Fatal(err)
	}
	if n := w.count("SELECT count(*) FROM tickets WHERE origin_event_id = $1 AND customer_id IS NULL", gone.GetId()); n != 1 {
		t.Errorf("%d follow-ups for a customer the registry does not know, want 1", n)
	}
}
