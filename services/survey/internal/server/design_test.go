package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// planted is a questionnaire with a fault of every kind.
func planted() *surveyv1.Questionnaire {
	key := surveyv1.CustomerField_CUSTOMER_FIELD_TIER
	test := func(question string) *surveyv1.ConditionTest {
		return &surveyv1.ConditionTest{Subject: &surveyv1.ConditionTest_QuestionKey{QuestionKey: question}}
	}
	within := func(question string, least, greatest float64) *surveyv1.ConditionTest {
		t := test(question)
		t.Test = &surveyv1.ConditionTest_Within{Within: &surveyv1.NumberRange{Least: &least, Greatest: &greatest}}
		return t
	}
	when := func(q *surveyv1.Question, tests ...*surveyv1.ConditionTest) *surveyv1.Question {
		q.ShowIf = &surveyv1.Condition{AnyOf: []*surveyv1.ConditionGroup{{AllOf: tests}}}
		return q
	}
	tier := &surveyv1.ConditionTest{Subject: &surveyv1.ConditionTest_Customer{Customer: key},
		Test: &surveyv1.ConditionTest_OneOf{OneOf: &surveyv1.ValueSet{Values: []string{"TIER_GOLD"}}}}
	untranslated := question("f", rating)
	untranslated.Text.En = ""
	misplaced := question("g", rating)
	misplaced.TextRule = &surveyv1.TextRule{Least: 1}
	impossible := question("i", words)
	impossible.TextRule = &surveyv1.TextRule{Least: 9, Greatest: 3}
	lost := question("l", rating)
	lost.Aspect = "no-such-aspect"
	return &surveyv1.Questionnaire{Title: both("t"), Questions: []*surveyv1.Question{
		question("a", rating), question("a", nps), // DUPLICATE_KEY
		when(question("b", rating), within("z", 1, 2)),                  // UNKNOWN_REFERENCE
		when(question("c", rating), within("d", 1, 2)),                  // LATER_REFERENCE
		when(question("d", rating), within("a", 6, 9)),                  // SCALE_MISMATCH
		when(question("e", rating), tier),                               // SCALE_MISMATCH
		untranslated, misplaced, impossible, question("h", single, "x"), // MISSING_TRANSLATION, MISPLACED, CONTRADICTORY, INCOMPLETE
		when(question("j", rating), within("a", 1, 2), within("a", 4, 5)), // CONTRADICTORY
		when(question("k", words), within("i", 1, 2)), lost,               // WRONG_TEST, UNKNOWN_REFERENCE
	}}
}

func TestEveryPlantedFaultIsNamed(t *testing.T) {
	k := newKit(t)
	q, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{Questionnaire: planted()})
	if err != nil {
		t.Fatal(err)
	}
	checked, err := k.designs.CheckQuestionnaire(k.crm(), &surveyv1.CheckQuestionnaireRequest{Id: q.GetId()})
	if err != nil || checked.GetPublishable() {
		t.Fatalf("checked %v, %v", checked, err)
	}
	var got []string
	for _, f := range checked.GetFaults() {
		got = append(got, strings.TrimPrefix(f.GetKind().String(), "FINDING_KIND_")+" "+f.GetField())
		if f.GetText().GetZh() == "" || f.GetText().GetEn() == "" || f.GetWarning() {
			t.Errorf("finding %v", f)
		}
	}
	want := []string{
		"DUPLICATE_KEY questions[1].key", "MISPLACED questions[7].text_rule", "CONTRADICTORY questions[8].text_rule",
		"INCOMPLETE questions[9].choices", "MISSING_TRANSLATION questions[6].text.en", "UNKNOWN_REFERENCE questions[12].aspect",
		"UNKNOWN_REFERENCE questions[2].show_if.any_of[0].all_of[0].question_key",
		"LATER_REFERENCE questions[3].show_if.any_of[0].all_of[0].question_key",
		"SCALE_MISMATCH questions[4].show_if.any_of[0].all_of[0].within", "SCALE_MISMATCH questions[5].show_if.any_of[0].all_of[0]",
		"CONTRADICTORY questions[10].show_if.any_of[0]", "WRONG_TEST questions[11].show_if.any_of[0].all_of[0]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings %q, want %q", got, want)
	}
	_, err = k.questionnaires.PublishQuestionnaire(k.crm(), &surveyv1.PublishQuestionnaireRequest{Id: q.GetId()})
	var fields []string
	for _, at := range want {
		_, field, _ := strings.Cut(at, " ")
		fields = append(fields, "questionnaire."+field)
	}
	refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_INCOMPLETE", fields...)
}

func TestWarningsDoNotKeepFromPublishing(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating))
	q.Questions[0].Type = nps
	if _, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: q, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"questions"}}}); err != nil {
		t.Fatal(err)
	}
	checked, err := k.designs.CheckQuestionnaire(k.crm(), &surveyv1.CheckQuestionnaireRequest{Id: q.GetId()})
	if err != nil || !checked.GetPublishable() || len(checked.GetFaults()) != 1 || !checked.GetFaults()[0].GetWarning() ||
		checked.GetFaults()[0].GetKind() != surveyv1.FindingKind_FINDING_KIND_SCALE_MISMATCH {
		t.Errorf("checked %v, %v", checked, err)
	}
	k.publish(q.GetId())
	for _, id := range []string{"x", uuid.NewString()} {
		_, err := k.designs.CheckQuestionnaire(k.crm(), &surveyv1.CheckQuestionnaireRequest{Id: id})
		if code := status.Code(err); code != codes.InvalidArgument && code != codes.NotFound {
			t.Errorf("checked %s: %v", id, err)
		}
	}
}

func TestCopyExportAndImport(t *testing.T) {
	k := newKit(t)
	original, err := k.questionnaires.GetQuestionnaire(k.crm(), &surveyv1.GetQuestionnaireRequest{Id: ticketSurvey})
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, q *surveyv1.Questionnaire, title *typev1.Text) {
		t.Helper()
		if q.GetId() == original.GetId() || q.GetVersion() != 0 || q.GetTrigger() != 0 || q.GetEtag() != "1" || !proto.Equal(q.GetTitle(), title) ||
			!slices.EqualFunc(q.GetQuestions(), original.GetQuestions(), func(a, b *surveyv1.Question) bool { return proto.Equal(a, b) }) {
			t.Errorf("%s is %v", what, q)
		}
	}
	req := &surveyv1.CopyQuestionnaireRequest{Id: ticketSurvey, Version: 1, RequestId: "r"}
	copied, err := k.designs.CopyQuestionnaire(k.crm(), req)
	if err != nil {
		t.Fatal(err)
	}
	same("a copy", copied, original.GetTitle())
	if again, err := k.designs.CopyQuestionnaire(k.crm(), req); err != nil || !proto.Equal(again, copied) {
		t.Errorf("repeated %v, %v", again, err)
	}
	titled, err := k.designs.CopyQuestionnaire(k.crm(), &surveyv1.CopyQuestionnaireRequest{Id: ticketSurvey, Title: both("new")})
	if err != nil {
		t.Fatal(err)
	}
	same("a copy with a title", titled, both("new"))
	document, err := k.designs.ExportQuestionnaire(k.crm(), &surveyv1.ExportQuestionnaireRequest{Id: ticketSurvey, Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	written, err := protojson.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	read := new(surveyv1.QuestionnaireDocument)
	if err := protojson.Unmarshal(written, read); err != nil {
		t.Fatal(err)
	}
	read.Questionnaire.Trigger = surveyv1.Trigger_TRIGGER_TICKET_RESOLVED
	imported, err := k.designs.ImportQuestionnaire(k.crm(), &surveyv1.ImportQuestionnaireRequest{Document: read})
	if err != nil {
		t.Fatal(err)
	}
	same("an import", imported, original.GetTitle())
	k.publish(imported.GetId())
	read.Questionnaire.Questions[0].Text = &typev1.Text{}
	_, err = k.designs.ImportQuestionnaire(k.crm(), &surveyv1.ImportQuestionnaireRequest{Document: read})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "document.questionnaire.questions[0].text")
	read.Format = "csv"
	_, err = k.designs.ImportQuestionnaire(k.crm(), &surveyv1.ImportQuestionnaireRequest{Document: read})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "document.format")
	_, err = k.designs.CopyQuestionnaire(k.crm(), &surveyv1.CopyQuestionnaireRequest{Id: ticketSurvey, Title: &typev1.Text{}})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "title")
	_, err = k.designs.CopyQuestionnaire(k.crm(), &surveyv1.CopyQuestionnaireRequest{Id: ticketSurvey, Version: 2})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	_, err = k.designs.ExportQuestionnaire(k.crm(), &surveyv1.ExportQuestionnaireRequest{Id: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
}

// The standard aspects make a questionnaire that can be published as they are.
func TestStandardAspects(t *testing.T) {
	k := newKit(t)
	list, err := k.designs.FindAspects(k.crm(), &surveyv1.FindAspectsRequest{})
	if err != nil || len(list.GetAspects()) != 14 {
		t.Fatalf("aspects %v, %v", list, err)
	}
	q := &surveyv1.Questionnaire{Title: both("t")}
	for _, aspect := range list.GetAspects() {
		q.Questions = append(q.Questions, &surveyv1.Question{Key: aspect.GetKey(), Type: aspect.GetType(), Text: aspect.GetQuestion(), Aspect: aspect.GetKey()})
	}
	made, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{Questionnaire: q})
	if err != nil {
		t.Fatal(err)
	}
	k.publish(made.GetId())
}
