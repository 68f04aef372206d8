package server_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// owned is all that the service has of one customer: a questionnaire with an open invitation,
// an answer and a campaign of its own.
type owned struct{ questionnaire, customer, invitation, answer, campaign string }

func (k *kit) owned() *owned {
	k.t.Helper()
	o := &owned{questionnaire: k.published(question("a", rating), question("t", words)).GetId(), customer: k.customer()}
	o.answer = k.submit(k.invite(o.questionnaire, o.customer).GetToken(), score("a", 2), comment("t", "late")).GetAnswerId()
	o.invitation = k.invite(o.questionnaire, o.customer).GetInvitation().GetId()
	o.campaign = k.schedule(k.campaign(func(c *surveyv1.Campaign) { c.QuestionnaireId = o.questionnaire }).GetId()).GetId()
	k.run(o.campaign)
	return o
}

// requests are calls of every method with rights about the things of $Q, $C, $I, $A and $P.
// Whoever is let through changes nothing that another call needs: what is written is refused
// by a later rule, or is about something made for it ($E is an answer that was entered).
var requests = map[string]string{
	"QuestionnaireService/GetQuestionnaire":     `{"id": "$Q"}`,
	"QuestionnaireService/ListQuestionnaires":   `{"pageSize": 500}`,
	"QuestionnaireService/CreateQuestionnaire":  `{"questionnaire": {"title": {"zh": "x", "en": "x"}}}`,
	"QuestionnaireService/UpdateQuestionnaire":  `{"questionnaire": {"id": "$Q", "title": {"zh": "x", "en": "x"}, "etag": "999"}, "updateMask": "title"}`,
	"QuestionnaireService/PublishQuestionnaire": `{"id": "$Q", "etag": "999"}`,
	"QuestionnaireService/GetResults":           `{"questionnaireId": "$Q"}`,
	"QuestionnaireService/ListAnswers":          `{"questionnaireId": "$Q"}`,
	"QuestionnaireService/ImportAnswers":        `{"questionnaireId": "$Q", "source": "x", "records": [{}]}`,
	"DesignService/CheckQuestionnaire":          `{"id": "$Q"}`,
	"DesignService/ExportQuestionnaire":         `{"id": "$Q"}`,
	"DesignService/CopyQuestionnaire":           `{"id": "$Q"}`,
	"DesignService/ImportQuestionnaire":         `{"document": {}}`,
	"DesignService/FindAspects":                 `{}`,
	"InvitationService/GetInvitation":           `{"id": "$I"}`,
	"InvitationService/ListInvitations":         `{"customerId": "$C"}`,
	"InvitationService/CreateInvitation":        `{"invitation": {"questionnaireId": "$Q", "customerId": "$C"}}`,
	"InvitationService/IssueLink":               `{"id": "$I"}`,
	"InvitationService/RevokeInvitation":        `{"id": "$I", "reason": "x"}`,
	"EntryService/GetEntryForm":                 `{"invitationId": "$I"}`,
	"EntryService/EnterAnswer":                  `{"invitationId": "$I", "channel": "ANSWER_CHANNEL_TELEPHONE", "responses": [{"questionKey": "none", "score": 1}]}`,
	"EntryService/WithdrawEnteredAnswer":        `{"questionnaireId": "$Q", "id": "$E"}`,
	"AnalysisService/AnalyzeAnswers":            `{"questionnaireId": "$Q"}`,
	"AnalysisService/ExportAnalysis":            `{"analysis": {"questionnaireId": "$Q"}, "format": "EXPORT_FORMAT_CSV"}`,
	"CampaignService/GetCampaign":               `{"id": "$P"}`,
	"CampaignService/ListCampaigns":             `{"pageSize": 500}`,
	"CampaignService/GetCampaignProgress":       `{"id": "$P"}`,
	"CampaignService/ListCampaignMembers":       `{"id": "$P"}`,
	"CampaignService/ListUncovered":             `{"id": "$P"}`,
	"CampaignService/CreateCampaign":            `{"campaign": {"name": "x", "questionnaireId": "$Q"}}`,
	"CampaignService/UpdateCampaign":            `{"campaign": {"id": "$P", "name": "x", "etag": "999"}, "updateMask": "name"}`,
	"CampaignService/ScheduleCampaign":          `{"id": "$P", "etag": "999"}`,
	"CampaignService/PauseCampaign":             `{"id": "$P", "etag": "999"}`,
	"CampaignService/ResumeCampaign":            `{"id": "$P", "etag": "999"}`,
	"CampaignService/StopCampaign":              `{"id": "$P", "etag": "999"}`,
	"FollowUpService/GetAnswerTrace":            `{"questionnaireId": "$Q", "answerId": "$A"}`,
	"CleaningService/GetCleaningRules":          `{"questionnaireId": "$Q"}`,
	"CleaningService/SetCleaningRules":          `{"rules": {"questionnaireId": "$Q", "etag": "999"}}`,
	"CleaningService/GetCleaning":               `{"questionnaireId": "$Q"}`,
	"CleaningService/ListFlaggedAnswers":        `{"questionnaireId": "$Q"}`,
	"CleaningService/JudgeAnswer":               `{"questionnaireId": "$Q", "answerId": "$A", "verdict": "ANSWER_VERDICT_INCLUDE", "reason": "x"}`,
	"TopicService/GetTopicDictionary":           `{"questionnaireId": "$Q"}`,
	"TopicService/SetTopicDictionary":           `{"dictionary": {"questionnaireId": "$Q", "etag": "999"}}`,
	"TopicService/GetTopics":                    `{"questionnaireId": "$Q"}`,
	"TopicService/ListCodedTexts":               `{"questionnaireId": "$Q"}`,
	"TopicService/SetTextTopics":                `{"questionnaireId": "$Q", "answerId": "$A", "questionKey": "t", "topicKeys": []}`,
}

// wholeLists are those that take no thing: what they leave out is not found.
var wholeLists = map[string]string{
	"QuestionnaireService/ListQuestionnaires": "$Q", "InvitationService/ListInvitations": "$I", "CampaignService/ListCampaigns": "$P",
}

// fill puts the things of o into a text.
func (k *kit) fill(text string, o *owned) string {
	k.t.Helper()
	if strings.Contains(text, "$E") {
		receipt, err := k.enter(k.invite(o.questionnaire, k.customer()).GetInvitation().GetId(), telephone, nil, score("a", 4))
		if err != nil {
			k.t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "$E", receipt.GetAnswerId())
	}
	return strings.NewReplacer("$Q", o.questionnaire, "$C", o.customer, "$I", o.invitation, "$A", o.answer, "$P", o.campaign).Replace(text)
}

// attempt calls a method about the things of o and reads all of its answer.
func (k *kit) attempt(ctx context.Context, name string, o *owned) error {
	k.t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("kefu.survey.v1." + strings.ReplaceAll(name, "/", ".")))
	if err != nil {
		k.t.Fatal(err)
	}
	m := d.(protoreflect.MethodDescriptor)
	in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if err := protojson.Unmarshal([]byte(k.fill(requests[name], o)), in); err != nil {
		k.t.Fatalf("%s: %v", name, err)
	}
	method := "/kefu.survey.v1." + name
	if m.IsStreamingServer() {
		stream, err := k.Conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
		if err != nil {
			return err
		}
		if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil {
			return err
		}
		for err == nil {
			err = stream.RecvMsg(out)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	if err := k.Conn.Invoke(ctx, method, in, out); err != nil {
		return err
	}
	if thing := wholeLists[name]; thing != "" && !strings.Contains(protojson.Format(out), k.fill(thing, o)) {
		return status.Error(codes.NotFound, "not listed")
	}
	return nil
}

// member adds somebody to the directory.
func (k *kit) member(subject, department string) string {
	k.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	if _, err := k.Pool.Exec(k.t.Context(), `INSERT INTO directory_staff (id, name, department_id, posts, skills, languages, status, issuer, subject, version)
VALUES ($1, $2, $3, '{}', '{}', '{}', 1, $4, $2, 1)`, id, subject, department, k.Issuer.URL()); err != nil {
		k.t.Fatal(err)
	}
	return id
}

// TestMatrixOnRows asserts every method with rights × every caller × what is of the caller's own
// customer, of a colleague's and of others: surveys know no nearness, so a role reaches all or
// nothing, and being a customer's account manager, or the customer, adds no right.
func TestMatrixOnRows(t *testing.T) {
	k := newKit(t)
	k.employed()
	team := uuid.NewString()
	things := map[string]*owned{"own": k.owned(), "team": k.owned(), "other": k.owned()}
	manager := func(of string, staff string) {
		t.Helper()
		if _, err := k.Pool.Exec(t.Context(), `UPDATE customer_refs SET owner_staff_id = $2 WHERE id = $1`, things[of].customer, staff); err != nil {
			t.Fatal(err)
		}
	}
	manager("team", k.member("colleague", team))
	manager("other", k.member("stranger", uuid.NewString()))
	rows := map[accesstest.Reach]string{accesstest.Own: "own", accesstest.Team: "team", accesstest.Company: "other"}
	cells, wrong := 0, 0
	for _, service := range []*grpc.ServiceDesc{
		&surveyv1.QuestionnaireService_ServiceDesc, &surveyv1.DesignService_ServiceDesc, &surveyv1.InvitationService_ServiceDesc,
		&surveyv1.EntryService_ServiceDesc, &surveyv1.AnalysisService_ServiceDesc, &surveyv1.CampaignService_ServiceDesc,
		&surveyv1.FollowUpService_ServiceDesc, &surveyv1.CleaningService_ServiceDesc, &surveyv1.TopicService_ServiceDesc,
	} {
		short := strings.TrimPrefix(service.ServiceName, "kefu.survey.v1.")
		attempts := map[string]accesstest.Attempt{}
		for name := range requests {
			if method, ok := strings.CutPrefix(name, short+"/"); ok {
				attempts[method] = func(ctx context.Context, of string) error { return k.attempt(ctx, name, things[of]) }
			}
		}
		m := accesstest.NewMatrix(t, service, attempts)
		for _, role := range accesstest.Roles() {
			if role == access.Customer {
				m.Role(role, k.AsCustomer(things["own"].customer), rows)
				continue
			}
			manager("own", k.member("m-"+short+role, team))
			m.Role(role, k.AsStaff(role, "m-"+short+role), rows)
		}
		m.Others(k.Service, "other")
		cells, wrong = cells+m.Cells, wrong+m.Wrong
	}
	t.Logf("surveys: %d cells, %d wrong", cells, wrong)
}

// listing is a list with what its items can be got by.
type listing struct {
	// list gives the keys of a page's items and the next page's token.
	list func(ctx context.Context, size int32, token string) ([]string, string, error)
	get  func(ctx context.Context, key string) error
	// all are the keys of everything there is.
	all []string
}

// keys gives those of a list's items.
func keys[I any](items []I, key func(I) string) []string {
	var out []string
	for _, i := range items {
		out = append(out, key(i))
	}
	return out
}

// listings are the lists of the service, of things of which there are several.
func (k *kit) listings(questionnaire, campaign string) map[string]listing {
	q, cleaning, topics, traces := k.questionnaires, k.cleaning(), k.topics(), surveyv1.NewFollowUpServiceClient(k.Conn)
	trace := func(ctx context.Context, id string) error {
		_, err := traces.GetAnswerTrace(ctx, &surveyv1.GetAnswerTraceRequest{QuestionnaireId: questionnaire, AnswerId: id})
		return err
	}
	invitation := func(ctx context.Context, id string) error {
		_, err := k.invitations.GetInvitation(ctx, &surveyv1.GetInvitationRequest{Id: id})
		return err
	}
	return map[string]listing{
		"questionnaires": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := q.ListQuestionnaires(ctx, &surveyv1.ListQuestionnairesRequest{PageSize: size, PageToken: token})
			return keys(out.GetQuestionnaires(), (*surveyv1.Questionnaire).GetId), out.GetNextPageToken(), err
		}, get: func(ctx context.Context, id string) error {
			_, err := q.GetQuestionnaire(ctx, &surveyv1.GetQuestionnaireRequest{Id: id})
			return err
		}},
		"invitations": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := k.invitations.ListInvitations(ctx, &surveyv1.ListInvitationsRequest{PageSize: size, PageToken: token})
			return keys(out.GetInvitations(), (*surveyv1.Invitation).GetId), out.GetNextPageToken(), err
		}, get: invitation},
		"campaigns": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := k.campaigns().ListCampaigns(ctx, &surveyv1.ListCampaignsRequest{PageSize: size, PageToken: token})
			return keys(out.GetCampaigns(), (*surveyv1.Campaign).GetId), out.GetNextPageToken(), err
		}, get: func(ctx context.Context, id string) error {
			_, err := k.campaigns().GetCampaign(ctx, &surveyv1.GetCampaignRequest{Id: id})
			return err
		}},
		"members": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := k.campaigns().ListCampaignMembers(ctx, &surveyv1.ListCampaignMembersRequest{Id: campaign, PageSize: size, PageToken: token})
			return keys(out.GetMembers(), (*surveyv1.CampaignMember).GetInvitationId), out.GetNextPageToken(), err
		}, get: invitation},
		"answers": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := q.ListAnswers(ctx, &surveyv1.ListAnswersRequest{QuestionnaireId: questionnaire, PageSize: size, PageToken: token})
			return keys(out.GetAnswers(), (*surveyv1.Answer).GetId), out.GetNextPageToken(), err
		}, get: trace},
		"flagged": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := cleaning.ListFlaggedAnswers(ctx, &surveyv1.ListFlaggedAnswersRequest{QuestionnaireId: questionnaire, PageSize: size, PageToken: token})
			return keys(out.GetAnswers(), (*surveyv1.FlaggedAnswer).GetAnswerId), out.GetNextPageToken(), err
		}, get: trace},
		"texts": {list: func(ctx context.Context, size int32, token string) ([]string, string, error) {
			out, err := topics.ListCodedTexts(ctx, &surveyv1.ListCodedTextsRequest{QuestionnaireId: questionnaire, TopicKey: "late", PageSize: size, PageToken: token})
			return keys(out.GetTexts(), (*surveyv1.CodedText).GetAnswerId), out.GetNextPageToken(), err
		}, get: trace},
	}
}

// pages reads a list to its end.
func (l *listing) pages(ctx context.Context, size int32) ([]string, error) {
	var all []string
	token := ""
	for {
		items, next, err := l.list(ctx, size, token)
		if all, token = append(all, items...), next; err != nil || token == "" {
			return all, err
		}
	}
}

// TestListsGiveWhatGetGives draws callers and pages: a list holds exactly the things that the
// caller would get one by one, each once, and who would get none gets no list.
func TestListsGiveWhatGetGives(t *testing.T) {
	k := newKit(t)
	quest := k.published(question("a", rating), question("t", words)).GetId()
	k.setRules(quest, func(r *surveyv1.CleaningRules) { r.Duplicate = &surveyv1.DuplicateRule{} })
	for _, c := range k.customers(5, 0) {
		for range 2 { // the second is flagged
			k.submit(k.invite(quest, c).GetToken(), score("a", 3), comment("t", "late"))
		}
		k.invite(quest, c)
	}
	campaign := k.schedule(k.campaign(func(c *surveyv1.Campaign) { c.QuestionnaireId = quest }).GetId()).GetId()
	k.run(campaign)
	k.campaign(nil)
	k.draft(question("b", rating))
	k.setTopics(quest, topic("late", "late"))
	k.coded(quest)
	lists := k.listings(quest, campaign)
	for name, l := range lists {
		var err error
		if l.all, err = l.pages(k.crm(), 500); err != nil || len(l.all) < 2 {
			t.Fatalf("there are %d %s, %v", len(l.all), name, err)
		}
		slices.Sort(l.all)
		lists[name] = l
	}
	names := []string{"questionnaires", "invitations", "campaigns", "members", "answers", "flagged", "texts"}
	roles := slices.DeleteFunc(accesstest.Roles(), func(r string) bool { return r == access.Customer })
	rapid.Check(t, func(r *rapid.T) {
		l := lists[rapid.SampledFrom(names).Draw(r, "list")]
		mine := rapid.SliceOfNDistinct(rapid.SampledFrom(roles), 1, 3, rapid.ID).Draw(r, "roles")
		ctx := k.AsPerson("p-"+strings.Join(mine, "-"), mine...)
		var want []string
		for _, key := range l.all {
			if err := l.get(ctx, key); err == nil {
				want = append(want, key)
			} else if !accesstest.Refused(err) {
				r.Fatal(err)
			}
		}
		got, err := l.pages(ctx, rapid.Int32Range(1, 9).Draw(r, "size"))
		if err != nil && !accesstest.Refused(err) {
			r.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			r.Fatalf("listed %v, got one by one %v", got, want)
		}
	})
}
