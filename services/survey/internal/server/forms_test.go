package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
)

func TestGetAnswerForm(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("b", single, "x", "y"))
	link := k.invite(q.GetId(), k.customer())
	// What is published later is not asked of those invited before.
	_, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: q.GetId(), Trigger: surveyv1.Trigger_TRIGGER_TICKET_RESOLVED,
			Questions: []*surveyv1.Question{question("c", nps)}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"questions", "trigger"}}})
	if err != nil {
		t.Fatal(err)
	}
	k.publish(q.GetId())
	for token, keys := range map[string][]string{
		link.GetToken(): {"a", "b"},
		k.invite(q.GetId(), k.customer()).GetToken(): {"c"},
	} {
		form, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, question := range form.GetQuestionnaire().GetQuestions() {
			got = append(got, question.GetKey())
		}
		if !slices.Equal(got, keys) || form.GetLanguage() != "en" || form.GetQuestionnaire().GetTrigger() != 0 ||
			form.GetQuestionnaire().GetEtag() != "" || !form.GetExpireTime().AsTime().Equal(k.Clock.Now().Add(30*24*time.Hour)) {
			t.Errorf("form %v", form)
		}
	}
	for _, token := range []string{"", "short", strings.Repeat("x", 101), strings.Repeat("ü", 30)} {
		_, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: token})
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "token")
	}
	_, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: strings.Repeat("x", 32)})
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
}

// last gives the last event of a type.
func last[T proto.Message](t *testing.T, k *kit, kind string) (*eventv1.Envelope, T) {
	t.Helper()
	events := k.Events(t)
	for _, e := range slices.Backward(events) {
		if e.GetType() == kind {
			payload, err := event.Unpack[T](e)
			if err != nil {
				t.Fatal(err)
			}
			return e, payload
		}
	}
	t.Fatalf("no event %s", kind)
	panic("unreachable")
}

func TestSubmitAnswer(t *testing.T) {
	k := newKit(t)
	customer, ticket := k.customer(), "0190aaaa-0000-7000-8000-00000000000a"
	if err := k.feed(k.server.OnTicket, envelope(t, "ticket.resolved.v1", ticket, customer, &ticketv1.TicketChanged{Round: 3})); err != nil {
		t.Fatal(err)
	}
	list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{TicketId: ticket})
	if err != nil || len(list.GetInvitations()) != 1 {
		t.Fatalf("invitations %v, %v", list, err)
	}
	invited := list.GetInvitations()[0]
	link, err := k.invitations.IssueLink(k.crm(), &surveyv1.IssueLinkRequest{Id: invited.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	k.Clock.Advance(time.Hour)
	receipt := k.submit(link.GetToken(), score("recommend", 9), score("overall", 4), score("attitude", 1), comment("comment", "再快一点"))
	if !receipt.GetAnswerTime().AsTime().Equal(k.Clock.Now()) {
		t.Errorf("receipt %v", receipt)
	}
	got, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: invited.GetId()})
	if err != nil || got.GetState() != answered || got.GetAnswerId() != receipt.GetAnswerId() ||
		!got.GetAnswerTime().AsTime().Equal(k.Clock.Now()) || got.GetEtag() != "3" {
		t.Errorf("invitation %v, %v", got, err)
	}
	answers, err := k.questionnaires.ListAnswers(k.crm(), &surveyv1.ListAnswersRequest{QuestionnaireId: ticketSurvey})
	if err != nil || len(answers.GetAnswers()) != 1 {
		t.Fatalf("answers %v, %v", answers, err)
	}
	want := &surveyv1.Answer{
		Id: receipt.GetAnswerId(), QuestionnaireId: ticketSurvey, Version: 1, InvitationId: invited.GetId(), CustomerId: customer,
		Channel:  surveyv1.AnswerChannel_ANSWER_CHANNEL_LINK,
		TicketId: ticket, AnswerTime: receipt.GetAnswerTime(), InviteTime: invited.GetCreateTime(),
		Responses: []*surveyv1.Response{score("overall", 4), score("attitude", 1), score("recommend", 9), comment("comment", "再快一点")},
	}
	if !proto.Equal(answers.GetAnswers()[0], want) {
		t.Errorf("answer %v, want %v", answers.GetAnswers()[0], want)
	}
	e, payload := last[*surveyv1.AnswerReceived](t, k, "answer.received.v1")
	if e.GetSubjectId() != receipt.GetAnswerId() || e.GetCustomerId() != customer || e.GetHistoric() ||
		e.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_PUBLIC || !e.GetOccurTime().AsTime().Equal(k.Clock.Now()) {
		t.Errorf("event %v", e)
	}
	if !proto.Equal(payload, &surveyv1.AnswerReceived{AnswerId: receipt.GetAnswerId(), QuestionnaireId: ticketSurvey, Version: 1,
		InvitationId: invited.GetId(), TicketId: ticket, Round: 3, Score: 4, Low: true, LowQuestionKey: "attitude", LowScore: 1}) {
		t.Errorf("payload %v", payload)
	}
	if strings.Contains(e.String(), "再快") {
		t.Error("the event holds the text")
	}
	_, changed := last[*surveyv1.InvitationChanged](t, k, "invitation.answered.v1")
	if !proto.Equal(changed, &surveyv1.InvitationChanged{QuestionnaireId: ticketSurvey, Version: 1, TicketId: ticket, State: "answered"}) {
		t.Errorf("payload %v", changed)
	}
	_, err = k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: link.GetToken(), Responses: []*surveyv1.Response{score("overall", 5)}})
	refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
	_, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: link.GetToken()})
	refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
}

func TestSubmitAnswerRefuses(t *testing.T) {
	k := newKit(t)
	must := question("a", rating)
	must.Required = true
	link := k.invite(k.published(must, question("b", single, "x", "y"), question("c", words)).GetId(), k.customer())
	submit := func(token string, responses ...*surveyv1.Response) error {
		_, err := k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: token, Responses: responses})
		return err
	}
	err := submit(link.GetToken(), choice("b", "z"), score("c", 1), score("b", 2), score("q", 2))
	refused(t, err, codes.InvalidArgument, "ANSWER_INVALID",
		"responses[0].choice", "responses[1].score", "responses[2].question_key", "responses[3].question_key", "responses")
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetMetadata()["questions"] != "b,c,q,a" {
			t.Errorf("metadata %v", info.GetMetadata())
		}
	}
	refused(t, submit(strings.Repeat("x", 32), score("a", 1)), codes.NotFound, "INVITATION_NOT_FOUND")
	refused(t, submit("x", score("a", 1)), codes.InvalidArgument, "VALIDATION_FAILED", "token")
	refused(t, submit(link.GetToken(), comment("c", strings.Repeat("x", 5001))), codes.InvalidArgument, "VALIDATION_FAILED", "responses[0].text")
	// A refused answer leaves the link as it was.
	k.submit(link.GetToken(), score("a", 5))
}

func TestOneOfManyAnswersWins(t *testing.T) {
	k := newKit(t)
	link := k.invite(k.published(question("a", rating)).GetId(), k.customer())
	errs := make(chan error, 8)
	for i := range cap(errs) {
		go func() {
			_, err := k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{
				Token: link.GetToken(), Responses: []*surveyv1.Response{score("a", int32(i%5)+1)}})
			errs <- err
		}()
	}
	won := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else {
			refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
		}
	}
	if n := k.count(`SELECT count(*) FROM answers`); won != 1 || n != 1 {
		t.Errorf("%d won, %d answers", won, n)
	}
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type = 'answer.received.v1'`); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestRequestIdsOfTheNameless(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating))
	mine, other := k.invite(q.GetId(), k.customer()), k.invite(q.GetId(), k.customer())
	submit := func(token string, n int32) (*surveyv1.AnswerReceipt, error) {
		return k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{
			Token: token, Responses: []*surveyv1.Response{score("a", n)}, RequestId: "1"})
	}
	first, err := submit(mine.GetToken(), 5)
	if err != nil {
		t.Fatal(err)
	}
	again, err := submit(mine.GetToken(), 5)
	if err != nil || !proto.Equal(again, first) {
		t.Errorf("a repeated call gave %v, %v", again, err)
	}
	_, err = submit(mine.GetToken(), 4)
	refused(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
	// Somebody else with the same request id neither gets that outcome nor is held up.
	theirs, err := submit(other.GetToken(), 5)
	if err != nil || theirs.GetAnswerId() == first.GetAnswerId() {
		t.Errorf("another link with the same request id: %v, %v", theirs, err)
	}
	_, err = submit(strings.Repeat("x", 32), 5)
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
	if n := k.count(`SELECT count(*) FROM answers`); n != 2 {
		t.Errorf("%d answers", n)
	}
}
