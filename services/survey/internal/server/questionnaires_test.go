package server_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func TestANewInstallationAsksByItself(t *testing.T) {
	k := newKit(t)
	for id, c := range map[string]struct {
		trigger  surveyv1.Trigger
		keys     []string
		required []string
	}{
		ticketSurvey: {surveyv1.Trigger_TRIGGER_TICKET_RESOLVED,
			[]string{"overall", "speed", "attitude", "recommend", "comment"}, []string{"overall"}},
		complaintSurvey: {surveyv1.Trigger_TRIGGER_COMPLAINT_TOLD, []string{"overall", "comment"}, []string{"overall"}},
	} {
		q, err := k.questionnaires.GetQuestionnaire(k.crm(), &surveyv1.GetQuestionnaireRequest{Id: id, Version: 1})
		if err != nil {
			t.Fatal(err)
		}
		var keys, required []string
		for _, question := range q.GetQuestions() {
			keys = append(keys, question.GetKey())
			if question.GetRequired() {
				required = append(required, question.GetKey())
			}
		}
		if q.GetTrigger() != c.trigger || !slices.Equal(keys, c.keys) || !slices.Equal(required, c.required) {
			t.Errorf("%s: %v", id, q)
		}
		// It passes its own rules: with another title it can be published again.
		_, err = k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
			Questionnaire: &surveyv1.Questionnaire{Id: id, Title: both("new")},
			UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
		if err != nil {
			t.Fatal(err)
		}
		if q := k.publish(id); q.GetVersion() != 2 {
			t.Errorf("%s: version %d", id, q.GetVersion())
		}
	}
}

func TestCreateQuestionnaire(t *testing.T) {
	k := newKit(t)
	req := &surveyv1.CreateQuestionnaireRequest{RequestId: "r1", Questionnaire: &surveyv1.Questionnaire{
		Id: "ignored", Version: 7, Etag: "9", Title: both("t"), Trigger: surveyv1.Trigger_TRIGGER_TICKET_RESOLVED,
		Questions: []*surveyv1.Question{question("a", single, "x", "y"), question("a", rating)}}}
	q, err := k.questionnaires.CreateQuestionnaire(k.crm(), req)
	if err != nil {
		t.Fatal(err)
	}
	if uuid.Validate(q.GetId()) != nil || q.GetVersion() != 0 || q.GetEtag() != "1" || q.GetPublishTime() != nil ||
		len(q.GetQuestions()) != 2 || q.GetTrigger() != req.GetQuestionnaire().GetTrigger() || !q.GetCreateTime().AsTime().Equal(k.Clock.Now()) {
		t.Errorf("created %v", q)
	}
	again, err := k.questionnaires.CreateQuestionnaire(k.crm(), req)
	if err != nil || !proto.Equal(again, q) {
		t.Errorf("replayed %v, %v", again, err)
	}
	got, err := k.questionnaires.GetQuestionnaire(k.crm(), &surveyv1.GetQuestionnaireRequest{Id: q.GetId()})
	if err != nil || !proto.Equal(got, q) {
		t.Errorf("read %v, %v, want %v", got, err, q)
	}
	other := proto.CloneOf(req)
	other.Questionnaire.Title.En = "other"
	_, err = k.questionnaires.CreateQuestionnaire(k.crm(), other)
	refused(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
	if types := k.types(); !slices.Equal(types, []string{"questionnaire.drafted.v1"}) {
		t.Errorf("events %q", types)
	}
	if n := k.count(`SELECT count(*) FROM audit_records WHERE object_id = $1`, q.GetId()); n != 1 {
		t.Errorf("%d audit records", n)
	}
}

func TestCreateQuestionnaireRefuses(t *testing.T) {
	k := newKit(t)
	long := make([]byte, 201)
	for i := range long {
		long[i] = 'x'
	}
	for name, c := range map[string]struct {
		q      *surveyv1.Questionnaire
		fields []string
	}{
		"nothing":      {nil, []string{"questionnaire"}},
		"no title":     {&surveyv1.Questionnaire{}, []string{"questionnaire.title"}},
		"empty title":  {&surveyv1.Questionnaire{Title: &typev1.Text{}}, []string{"questionnaire.title"}},
		"long title":   {&surveyv1.Questionnaire{Title: &typev1.Text{En: string(long)}}, []string{"questionnaire.title.en"}},
		"bad key":      {&surveyv1.Questionnaire{Title: both("t"), Questions: []*surveyv1.Question{question("A b", rating)}}, []string{"questionnaire.questions[0].key"}},
		"no type":      {&surveyv1.Questionnaire{Title: both("t"), Questions: []*surveyv1.Question{question("a", 0)}}, []string{"questionnaire.questions[0].type"}},
		"bad trigger":  {&surveyv1.Questionnaire{Title: both("t"), Trigger: 9}, []string{"questionnaire.trigger"}},
		"NUL in title": {&surveyv1.Questionnaire{Title: &typev1.Text{Zh: "a\x00"}}, []string{"questionnaire.title.zh"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{Questionnaire: c.q})
			refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", c.fields...)
		})
	}
}

func TestUpdateQuestionnaire(t *testing.T) {
	k := newKit(t)
	q := k.draft(question("a", rating))
	update := func(change *surveyv1.Questionnaire, paths ...string) (*surveyv1.Questionnaire, error) {
		change.Id = q.GetId()
		return k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
			Questionnaire: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	k.Clock.Advance(1e9)
	got, err := update(&surveyv1.Questionnaire{Etag: "1", Title: &typev1.Text{Zh: "新"}, Trigger: 2}, "title.zh", "etag")
	if err != nil {
		t.Fatal(err)
	}
	if got.GetTitle().GetZh() != "新" || got.GetTitle().GetEn() != "title?" || got.GetTrigger() != 0 || got.GetEtag() != "2" ||
		len(got.GetQuestions()) != 1 || !got.GetUpdateTime().AsTime().Equal(k.Clock.Now()) {
		t.Errorf("updated %v", got)
	}
	same, err := update(&surveyv1.Questionnaire{Title: got.GetTitle()}, "title")
	if err != nil || !proto.Equal(same, got) {
		t.Errorf("an update without change gave %v, %v", same, err)
	}
	if types := k.types(); len(types) != 2 {
		t.Errorf("events %q", types)
	}
	_, err = update(&surveyv1.Questionnaire{Etag: "1", Title: both("x")}, "title")
	refused(t, err, codes.Aborted, "ETAG_MISMATCH")
	for _, paths := range [][]string{{}, {"nothing"}, {"version"}, {"publish_time"}, {"id"}, {"questions.key"}} {
		_, err = update(&surveyv1.Questionnaire{Title: both("x")}, paths...)
		refused(t, err, codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	}
	_, err = update(&surveyv1.Questionnaire{}, "title")
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "questionnaire.title")
	_, err = update(&surveyv1.Questionnaire{Questions: []*surveyv1.Question{question("Bad", rating)}}, "questions")
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "questionnaire.questions[0].key")
	_, err = k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "questionnaire.id")
	_, err = k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: uuid.NewString(), Title: both("x")}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
}

func TestPublishFreezes(t *testing.T) {
	k := newKit(t)
	q := k.draft(question("a", rating))
	k.Clock.Advance(1e9)
	first := k.publish(q.GetId())
	if first.GetVersion() != 1 || first.GetEtag() != "2" || !first.GetPublishTime().AsTime().Equal(k.Clock.Now()) {
		t.Errorf("published %v", first)
	}
	_, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: q.GetId(), Questions: []*surveyv1.Question{question("b", nps)}},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"questions"}}})
	if err != nil {
		t.Fatal(err)
	}
	if second := k.publish(q.GetId()); second.GetVersion() != 2 {
		t.Errorf("published %v", second)
	}
	for version, key := range map[int32]string{0: "b", 1: "a", 2: "b"} {
		got, err := k.questionnaires.GetQuestionnaire(k.crm(), &surveyv1.GetQuestionnaireRequest{Id: q.GetId(), Version: version})
		if err != nil || len(got.GetQuestions()) != 1 || got.GetQuestions()[0].GetKey() != key {
			t.Errorf("version %d is %v, %v", version, got, err)
		}
		if (version == 0) != (got.GetEtag() != "") || version != 0 && got.GetVersion() != version {
			t.Errorf("version %d is %v", version, got)
		}
	}
	_, err = k.questionnaires.GetQuestionnaire(k.crm(), &surveyv1.GetQuestionnaireRequest{Id: q.GetId(), Version: 3})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	for _, sql := range []string{
		`UPDATE questionnaire_versions SET content = '{}'`, `DELETE FROM questionnaire_versions`, `TRUNCATE questionnaire_versions`,
	} {
		if _, err := k.Pool.Exec(t.Context(), sql); pg.Code(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	want := []string{"questionnaire.drafted.v1", "questionnaire.published.v1", "questionnaire.drafted.v1", "questionnaire.published.v1"}
	if types := k.types(); !slices.Equal(types, want) {
		t.Errorf("events %q", types)
	}
}

func TestPublishRefuses(t *testing.T) {
	k := newKit(t)
	publish := func(req *surveyv1.PublishQuestionnaireRequest) error {
		_, err := k.questionnaires.PublishQuestionnaire(k.crm(), req)
		return err
	}
	bad := k.draft(question("a", single), question("a", words, "x"))
	refused(t, publish(&surveyv1.PublishQuestionnaireRequest{Id: bad.GetId()}), codes.FailedPrecondition, "QUESTIONNAIRE_INCOMPLETE",
		"questionnaire.questions[1].key", "questionnaire.questions[0].choices", "questionnaire.questions[1].choices")
	empty := k.draft()
	refused(t, publish(&surveyv1.PublishQuestionnaireRequest{Id: empty.GetId()}), codes.FailedPrecondition, "QUESTIONNAIRE_INCOMPLETE", "questionnaire.questions")
	done := k.published(question("a", rating))
	refused(t, publish(&surveyv1.PublishQuestionnaireRequest{Id: done.GetId()}), codes.FailedPrecondition, "QUESTIONNAIRE_UNCHANGED")
	refused(t, publish(&surveyv1.PublishQuestionnaireRequest{Id: done.GetId(), Etag: "1"}), codes.Aborted, "ETAG_MISMATCH")
	refused(t, publish(&surveyv1.PublishQuestionnaireRequest{Id: uuid.NewString()}), codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	refused(t, publish(&surveyv1.PublishQuestionnaireRequest{Id: "x"}), codes.InvalidArgument, "VALIDATION_FAILED", "id")
}

func TestOneOfManyPublishersWins(t *testing.T) {
	k := newKit(t)
	q := k.draft(question("a", rating))
	errs := make(chan error, 5)
	for range cap(errs) {
		go func() {
			_, err := k.questionnaires.PublishQuestionnaire(k.crm(), &surveyv1.PublishQuestionnaireRequest{Id: q.GetId()})
			errs <- err
		}()
	}
	won := 0
	for range cap(errs) {
		if err := <-errs; status.Code(err) == codes.OK {
			won++
		} else {
			refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_UNCHANGED")
		}
	}
	if n := k.count(`SELECT count(*) FROM questionnaire_versions WHERE questionnaire_id = $1`, q.GetId()); won != 1 || n != 1 {
		t.Errorf("%d won, %d versions", won, n)
	}
}

func TestOneOfManyEditorsWins(t *testing.T) {
	k := newKit(t)
	q := k.draft(question("a", rating))
	errs := make(chan error, 5)
	for i := range cap(errs) {
		go func() {
			_, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
				Questionnaire: &surveyv1.Questionnaire{Id: q.GetId(), Etag: q.GetEtag(), Title: both(string(rune('a' + i)))},
				UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
			errs <- err
		}()
	}
	won := 0
	for range cap(errs) {
		if err := <-errs; status.Code(err) == codes.OK {
			won++
		} else {
			refused(t, err, codes.Aborted, "ETAG_MISMATCH")
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func TestListQuestionnaires(t *testing.T) {
	k := newKit(t)
	want := []string{complaintSurvey, ticketSurvey}
	for range 3 {
		want = slices.Insert(want, 0, k.draft().GetId())
	}
	var got []string
	req := &surveyv1.ListQuestionnairesRequest{PageSize: 2}
	for {
		page, err := k.questionnaires.ListQuestionnaires(k.crm(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range page.GetQuestionnaires() {
			got = append(got, q.GetId())
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, req := range []*surveyv1.ListQuestionnairesRequest{{PageSize: 501}, {PageSize: -1}, {PageToken: "x"}} {
		_, err := k.questionnaires.ListQuestionnaires(k.crm(), req)
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED")
	}
}

func TestOnlyThoseWithTheRight(t *testing.T) {
	k := newKit(t)
	id := uuid.NewString()
	// Whoever may comes as far as the missing questionnaire.
	for role, may := range map[string]map[string]bool{
		access.CRMSpecialist:            {"read": true, "write": true, "invite": true, "answers": true, "results": true},
		access.ServiceManager:           {"read": true, "results": true},
		access.CompanyManager:           {"results": true},
		access.InformationAdministrator: {"import": true},
		access.ServiceAgent:             {},
		access.Auditor:                  {},
	} {
		ctx := k.As(role)
		for what, call := range k.calls(id) {
			if code := status.Code(call(ctx)); (code == codes.PermissionDenied) == may[what] {
				t.Errorf("%s, %s: %v", role, what, code)
			}
		}
	}
	for what, call := range k.calls(id) {
		if code := status.Code(call(k.AsCustomer(id))); code != codes.PermissionDenied {
			t.Errorf("a customer, %s: %v", what, code)
		}
		if code := status.Code(call(k.AsPublic())); code != codes.Unauthenticated {
			t.Errorf("anybody, %s: %v", what, code)
		}
	}
}
