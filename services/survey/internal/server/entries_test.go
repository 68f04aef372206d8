package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

const (
	telephone = surveyv1.AnswerChannel_ANSWER_CHANNEL_TELEPHONE
	paper     = surveyv1.AnswerChannel_ANSWER_CHANNEL_PAPER
)

// employed adds the person of k.crm() to the directory and gives their id.
func (k *kit) employed() string {
	k.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	staff := &ticketv1.Staff{Id: id, Name: "王芳", DepartmentId: uuid.NewString(), Issuer: k.Issuer.URL(), Subject: "tester-" + access.CRMSpecialist}
	if err := k.feed(k.server.OnTicket, envelope(k.t, "staff.changed.v1", id, "", &ticketv1.StaffChanged{Staff: staff})); err != nil {
		k.t.Fatal(err)
	}
	return id
}

func (k *kit) enter(invitation string, channel surveyv1.AnswerChannel, at *timestamppb.Timestamp, responses ...*surveyv1.Response) (*surveyv1.AnswerReceipt, error) {
	return k.entries.EnterAnswer(k.crm(), &surveyv1.EnterAnswerRequest{InvitationId: invitation, Channel: channel, AnswerTime: at, Responses: responses})
}

func (k *kit) answersOf(q string) *surveyv1.ListAnswersResponse {
	k.t.Helper()
	list, err := k.questionnaires.ListAnswers(k.crm(), &surveyv1.ListAnswersRequest{QuestionnaireId: q})
	if err != nil {
		k.t.Fatal(err)
	}
	return list
}

func TestStaffEnterAnswers(t *testing.T) {
	k := newKit(t)
	q := k.published(must(question("a", rating)), question("c", single, "x", "y"), shownWhen(question("b", rating), "c", "x"))
	asked := k.invite(q.GetId(), k.customer())
	id := asked.GetInvitation().GetId()
	_, err := k.enter(id, telephone, nil, score("a", 5))
	refused(t, err, codes.PermissionDenied, "STAFF_UNKNOWN")
	k.employed()
	if _, err := k.save(&surveyv1.SaveAnswerProgressRequest{Token: asked.GetToken(), Responses: []*surveyv1.Response{score("a", 2)}}); err != nil {
		t.Fatal(err)
	}
	form, err := k.entries.GetEntryForm(k.crm(), &surveyv1.GetEntryFormRequest{InvitationId: id})
	if err != nil || len(form.GetQuestionnaire().GetQuestions()) != 3 || len(form.GetResponses()) != 0 {
		t.Errorf("form %v, %v", form, err)
	}
	_, err = k.enter(id, telephone, nil, score("b", 1), choice("c", "y"))
	refused(t, err, codes.InvalidArgument, "ANSWER_INVALID", "responses[0].question_key", "responses")
	for _, channel := range []surveyv1.AnswerChannel{0, 1, 6, 9} {
		_, err := k.enter(id, channel, nil, score("a", 5))
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "channel")
	}
	for _, at := range []time.Time{k.Clock.Now().Add(-time.Hour), k.Clock.Now().Add(time.Hour)} {
		_, err := k.enter(id, paper, timestamppb.New(at), score("a", 5))
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "answer_time")
	}
	receipt, err := k.enter(id, telephone, nil, score("a", 5), choice("c", "x"), score("b", 1))
	if err != nil {
		t.Fatal(err)
	}
	got := k.answersOf(q.GetId()).GetAnswers()[0]
	if got.GetId() != receipt.GetAnswerId() || got.GetChannel() != telephone || got.GetEnterActor() == "" || got.GetLate() || got.GetPartial() {
		t.Errorf("answer %v", got)
	}
	_, err = k.enter(id, telephone, nil, score("a", 4))
	refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
	_, err = k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: asked.GetToken(), Responses: []*surveyv1.Response{score("a", 5)}})
	refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")

	// On paper it may come late, and says so; what was written in time is not late.
	for _, c := range []struct {
		at   time.Duration
		late bool
	}{{29 * 24 * time.Hour, false}, {30 * 24 * time.Hour, true}} {
		asked := k.invite(q.GetId(), k.customer()).GetInvitation()
		at := k.Clock.Now().Add(c.at)
		k.Clock.Advance(31 * 24 * time.Hour)
		if err := k.server.ExpireInvitations(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := k.enter(asked.GetId(), paper, timestamppb.New(at), score("a", 3)); err != nil {
			t.Fatal(err)
		}
		if got := k.answersOf(q.GetId()).GetAnswers()[0]; got.GetLate() != c.late || got.GetChannel() != paper {
			t.Errorf("after %v: %v", c.at, got)
		}
	}
	revoked := k.invite(q.GetId(), k.customer()).GetInvitation()
	if _, err := k.invitations.RevokeInvitation(k.crm(), &surveyv1.RevokeInvitationRequest{Id: revoked.GetId(), Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	_, err = k.enter(revoked.GetId(), paper, nil, score("a", 3))
	refused(t, err, codes.FailedPrecondition, "INVITATION_REVOKED")
	_, err = k.enter(uuid.NewString(), paper, nil, score("a", 3))
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
	if code := status.Code(call(k.entries.GetEntryForm(k.As(access.ServiceAgent), &surveyv1.GetEntryFormRequest{InvitationId: id}))); code != codes.PermissionDenied {
		t.Errorf("an agent: %v", code)
	}
}

func call[T any](_ T, err error) error { return err }

func TestNobodyEntersAnAnswerAboutThemselves(t *testing.T) {
	k := newKit(t)
	me := k.employed()
	ticket, customer := uuid.NewString(), k.customer()
	if err := k.feed(k.server.OnTicket, envelope(t, "ticket.resolved.v1", ticket, customer, &ticketv1.TicketChanged{Round: 1, AssigneeStaffId: me})); err != nil {
		t.Fatal(err)
	}
	list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{TicketId: ticket})
	if err != nil || len(list.GetInvitations()) != 1 {
		t.Fatalf("invitations %v, %v", list, err)
	}
	_, err = k.enter(list.GetInvitations()[0].GetId(), telephone, nil, score("overall", 5))
	refused(t, err, codes.PermissionDenied, "ENTRY_ABOUT_ONESELF")
	_, err = k.entries.GetEntryForm(k.crm(), &surveyv1.GetEntryFormRequest{InvitationId: list.GetInvitations()[0].GetId()})
	refused(t, err, codes.PermissionDenied, "ENTRY_ABOUT_ONESELF")
	mine := ref(uuid.Must(uuid.NewV7()).String(), true, 1)
	mine.OwnerStaffId = me
	if _, err := customerref.Apply(t.Context(), k.Pool, mine); err != nil {
		t.Fatal(err)
	}
	_, err = k.enter(k.invite(ticketSurvey, mine.GetId()).GetInvitation().GetId(), telephone, nil, score("overall", 5))
	refused(t, err, codes.PermissionDenied, "ENTRY_ABOUT_ONESELF")
	other := uuid.NewString()
	if err := k.feed(k.server.OnTicket, envelope(t, "ticket.resolved.v1", other, customer, &ticketv1.TicketChanged{Round: 1, AssigneeStaffId: uuid.NewString()})); err != nil {
		t.Fatal(err)
	}
	if list, err = k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{TicketId: other}); err != nil || len(list.GetInvitations()) != 1 {
		t.Fatalf("invitations %v, %v", list, err)
	}
	if _, err := k.enter(list.GetInvitations()[0].GetId(), telephone, nil, score("overall", 5)); err != nil {
		t.Errorf("a colleague's case: %v", err)
	}
}

func TestWhatWasFilledInIsAPartialAnswer(t *testing.T) {
	k := newKit(t)
	q := k.published(must(question("a", rating)), must(question("b", rating)))
	begun, untouched := k.invite(q.GetId(), k.customer()), k.invite(q.GetId(), k.customer())
	k.Clock.Advance(time.Hour)
	if _, err := k.save(&surveyv1.SaveAnswerProgressRequest{Token: begun.GetToken(), Responses: []*surveyv1.Response{score("a", 1)}}); err != nil {
		t.Fatal(err)
	}
	saved := k.Clock.Now()
	k.Clock.Advance(31 * 24 * time.Hour)
	for range 2 {
		if err := k.server.ExpireInvitations(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	list := k.answersOf(q.GetId())
	if len(list.GetAnswers()) != 1 || !list.GetAnswers()[0].GetPartial() || len(list.GetAnswers()[0].GetResponses()) != 1 ||
		!list.GetAnswers()[0].GetAnswerTime().AsTime().Equal(saved) || list.GetAnswers()[0].GetInvitationId() != begun.GetInvitation().GetId() {
		t.Errorf("answers %v", list)
	}
	if _, payload := last[*surveyv1.AnswerReceived](t, k, "answer.received.v1"); !payload.GetPartial() || !payload.GetLow() {
		t.Errorf("event %v", payload)
	}
	if n := k.count(`SELECT count(*) FROM answer_progress`); n != 0 {
		t.Errorf("%d forms saved still", n)
	}
	got, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: untouched.GetInvitation().GetId()})
	if err != nil || got.GetState() != surveyv1.InvitationState_INVITATION_STATE_EXPIRED {
		t.Errorf("untouched %v, %v", got, err)
	}
}

// answeredAs checks what a link says of the answer that was given behind it.
func (k *kit) answeredAs(token, standing string) {
	k.t.Helper()
	_, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: token})
	refused(k.t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
	if got := rpcerr.Info(err).GetMetadata()["answer"]; got != standing {
		k.t.Errorf("the answer is %q, want %q", got, standing)
	}
}

func TestAnswersAreWithdrawn(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("m", surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE, "x", "y"), question("t", words))
	give := func() string {
		token := k.invite(q.GetId(), k.customer()).GetToken()
		k.submit(token, score("a", 2), &surveyv1.Response{QuestionKey: "m", Value: &surveyv1.Response_Choices{
			Choices: &surveyv1.ChoiceList{Keys: []string{"y", "x"}}}}, comment("t", "secret"))
		return token
	}
	withdraw := func(token string) error {
		_, err := k.answers.WithdrawAnswer(k.AsPublic(), &surveyv1.WithdrawAnswerRequest{Token: token})
		return err
	}
	folded, fresh, stays := give(), "", give()
	if err := k.server.FoldCounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.answeredAs(stays, "kept")
	fresh = give()
	before, err := k.analyses.AnalyzeAnswers(k.crm(), &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range []string{folded, fresh} {
		if err := withdraw(token); err != nil {
			t.Fatal(err)
		}
		refused(t, withdraw(token), codes.FailedPrecondition, "ANSWER_WITHDRAWN")
		k.answeredAs(token, "withdrawn")
		results := k.results(q.GetId(), 0)
		want := int64(2 - i)
		if results.GetAnswers() != want || results.GetQuestions()[0].GetN() != want || results.GetQuestions()[1].GetDistribution()[0].GetCount() != want ||
			results.GetQuestions()[2].GetN() != want {
			t.Errorf("after %d withdrawals: %v", i+1, results)
		}
	}
	after, err := k.analyses.AnalyzeAnswers(k.crm(), &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q.GetId()})
	if err != nil || after.GetDataVersion() <= before.GetDataVersion() {
		t.Errorf("the data version went from %d to %d, %v", before.GetDataVersion(), after.GetDataVersion(), err)
	}
	if n := k.count(`SELECT count(*) FROM answer_responses`) + 10*k.count(`SELECT count(*) FROM answer_scores`); n != 13 {
		t.Errorf("responses and scores left: %d, want those of one answer", n)
	}
	list := k.answersOf(q.GetId()).GetAnswers()
	if len(list) != 3 || list[0].GetWithdrawTime() == nil || len(list[0].GetResponses()) != 0 || list[1].GetWithdrawTime() != nil {
		t.Errorf("answers %v", list)
	}
	// The customer may also ask staff.
	req := &surveyv1.WithdrawEnteredAnswerRequest{QuestionnaireId: q.GetId(), Id: list[1].GetId()}
	got, err := k.entries.WithdrawEnteredAnswer(k.crm(), req)
	if err != nil || got.GetWithdrawTime() == nil {
		t.Errorf("withdrawn %v, %v", got, err)
	}
	_, err = k.entries.WithdrawEnteredAnswer(k.crm(), req)
	refused(t, err, codes.FailedPrecondition, "ANSWER_WITHDRAWN")
	refused(t, withdraw(stays), codes.FailedPrecondition, "ANSWER_WITHDRAWN")
	req.QuestionnaireId = ticketSurvey
	_, err = k.entries.WithdrawEnteredAnswer(k.crm(), req)
	refused(t, err, codes.NotFound, "ANSWER_NOT_FOUND")
	refused(t, withdraw(k.invite(q.GetId(), k.customer()).GetToken()), codes.FailedPrecondition, "ANSWER_NOT_GIVEN")
	refused(t, withdraw(strings.Repeat("A", 32)), codes.NotFound, "INVITATION_NOT_FOUND")
}

func TestAnonymityIsKept(t *testing.T) {
	k := newKit(t)
	k.employed()
	draft, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{Questionnaire: &surveyv1.Questionnaire{
		Title: both("t"), Anonymous: true, Questions: []*surveyv1.Question{question("a", rating), question("b", rating)}}})
	if err != nil {
		t.Fatal(err)
	}
	q := k.publish(draft.GetId()).GetId()
	for i := range 5 {
		customer := k.customer()
		asked := k.invite(q, customer)
		if i == 0 {
			if _, err := k.enter(asked.GetInvitation().GetId(), paper, nil, score("a", 2), score("b", 1)); err != nil {
				t.Fatal(err)
			}
		} else if receipt := k.submit(asked.GetToken(), score("a", 4)); receipt.GetAnswerId() != "" {
			t.Errorf("receipt %v", receipt)
		}
		got, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: asked.GetInvitation().GetId()})
		if err != nil || got.GetState() != answered || got.GetAnswerId() != "" || got.GetAnswerTime() == nil {
			t.Errorf("invitation %v, %v", got, err)
		}
		_, err = k.answers.WithdrawAnswer(k.AsPublic(), &surveyv1.WithdrawAnswerRequest{Token: asked.GetToken()})
		refused(t, err, codes.FailedPrecondition, "ANSWER_ANONYMOUS")
		k.answeredAs(asked.GetToken(), "anonymous")
		results, list := k.results(q, 0), k.answersOf(q)
		if enough := i == 4; results.GetWithheld() == enough || list.GetWithheld() == enough || !enough && len(list.GetAnswers())+len(results.GetQuestions()) > 0 {
			t.Errorf("after %d answers: %v, %v", i+1, results, list)
		}
		k.Clock.Advance(time.Hour)
	}
	results := k.results(q, 0)
	if results.GetAnswers() != 5 || results.GetResponseRate() != 1 || results.GetQuestions()[0].GetMean() != 3.6 ||
		!results.GetQuestions()[1].GetWithheld() || results.GetQuestions()[1].GetN() != 0 || len(results.GetQuestions()[1].GetDistribution()) != 0 {
		t.Errorf("results %v", results)
	}
	for _, answer := range k.answersOf(q).GetAnswers() {
		if answer.GetCustomerId()+answer.GetInvitationId()+answer.GetEnterActor() != "" || answer.GetAnswerTime() != nil || answer.GetInviteTime() != nil {
			t.Errorf("answer %v", answer)
		}
		if id := uuid.MustParse(answer.GetId()); id.Version() != 4 {
			t.Errorf("the id %s tells a time", id)
		}
	}
	// No event and no audit record names an answer, and no time but the month is kept.
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type LIKE 'answer.%'`) + k.count(`SELECT count(*) FROM audit_records WHERE object_type = 'answer'`); n != 0 {
		t.Errorf("%d records lead to answers", n)
	}
	if n := k.count(`SELECT count(*) FROM answers WHERE answer_time <> date_trunc('month', answer_time AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' OR record_time <> answer_time`); n != 0 {
		t.Errorf("%d answers tell their time", n)
	}
	if n := k.count(`SELECT count(*) FROM answer_scores WHERE num_nonnulls(tier, kind, region) > 0`); n != 0 {
		t.Errorf("%d scores tell of a customer", n)
	}
	_, err = k.questionnaires.ImportAnswers(k.importer(), &surveyv1.ImportAnswersRequest{QuestionnaireId: q, Source: "x", Records: []*surveyv1.AnswerRecord{{}}})
	refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_ANONYMOUS")
	// What was promised stays promised.
	open := &surveyv1.Questionnaire{Id: q, Anonymous: false}
	if _, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{Questionnaire: open, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"anonymous"}}}); err != nil {
		t.Fatal(err)
	}
	_, err = k.questionnaires.PublishQuestionnaire(k.crm(), &surveyv1.PublishQuestionnaireRequest{Id: q})
	refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_INCOMPLETE", "questionnaire.anonymous")
}
