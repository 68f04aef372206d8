package server_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

func shownWhen(q *surveyv1.Question, key string, choices ...string) *surveyv1.Question {
	q.ShowIf = &surveyv1.Condition{AnyOf: []*surveyv1.ConditionGroup{{AllOf: []*surveyv1.ConditionTest{{
		Subject: &surveyv1.ConditionTest_QuestionKey{QuestionKey: key},
		Test:    &surveyv1.ConditionTest_OneOf{OneOf: &surveyv1.ValueSet{Values: choices}}}}}}}
	return q
}

func shownToTier(q *surveyv1.Question, tiers ...string) *surveyv1.Question {
	q.ShowIf = &surveyv1.Condition{AnyOf: []*surveyv1.ConditionGroup{{AllOf: []*surveyv1.ConditionTest{{
		Subject: &surveyv1.ConditionTest_Customer{Customer: surveyv1.CustomerField_CUSTOMER_FIELD_TIER},
		Test:    &surveyv1.ConditionTest_OneOf{OneOf: &surveyv1.ValueSet{Values: tiers}}}}}}}
	return q
}

func must(q *surveyv1.Question) *surveyv1.Question {
	q.Required = true
	return q
}

// everyType asks one question of each type.
func everyType() []*surveyv1.Question {
	matrix := question("rows", surveyv1.QuestionType_QUESTION_TYPE_MATRIX)
	matrix.Rows = []*surveyv1.Choice{{Key: "speed", Text: both("speed")}, {Key: "price", Text: both("price")}}
	number := question("hours", surveyv1.QuestionType_QUESTION_TYPE_NUMBER)
	number.NumberRule = &surveyv1.NumberRule{Decimals: 1}
	return []*surveyv1.Question{
		question("rating", rating), question("nps", nps), question("effort", effort), question("one", single, "x", "y"),
		question("many", surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE, "x", "y", "z"), matrix, number,
		question("day", surveyv1.QuestionType_QUESTION_TYPE_DATE), question("words", words),
		question("order", surveyv1.QuestionType_QUESTION_TYPE_RANKING, "x", "y", "z"),
	}
}

func everyResponse() []*surveyv1.Response {
	of := func(key string, r *surveyv1.Response) *surveyv1.Response {
		r.QuestionKey = key
		return r
	}
	return []*surveyv1.Response{
		score("rating", 4), score("nps", 0), score("effort", 7), choice("one", "y"),
		of("many", &surveyv1.Response{Value: &surveyv1.Response_Choices{Choices: &surveyv1.ChoiceList{Keys: []string{"z", "x"}}}}),
		of("rows", &surveyv1.Response{Value: &surveyv1.Response_Rows{Rows: &surveyv1.RowScores{Scores: []*surveyv1.RowScore{
			{RowKey: "price", Score: 2}, {RowKey: "speed", Score: 5}}}}}),
		of("hours", &surveyv1.Response{Value: &surveyv1.Response_Number{Number: -2.5}}),
		of("day", &surveyv1.Response{Value: &surveyv1.Response_Date{Date: "2026-02-28"}}),
		comment("words", "好"),
		of("order", &surveyv1.Response{Value: &surveyv1.Response_Ranking{Ranking: &surveyv1.ChoiceList{Keys: []string{"y", "z", "x"}}}}),
	}
}

func (k *kit) form(token string) *surveyv1.AnswerForm {
	k.t.Helper()
	form, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: token})
	if err != nil {
		k.t.Fatalf("form: %v", err)
	}
	return form
}

func (k *kit) save(req *surveyv1.SaveAnswerProgressRequest) (*surveyv1.AnswerForm, error) {
	return k.answers.SaveAnswerProgress(k.AsPublic(), req)
}

func sameResponses(a, b []*surveyv1.Response) bool {
	return slices.EqualFunc(a, b, func(a, b *surveyv1.Response) bool { return proto.Equal(a, b) })
}

func TestEveryTypeIsKeptAndCounted(t *testing.T) {
	k := newKit(t)
	q := k.published(everyType()...)
	link := k.invite(q.GetId(), k.customer())
	if _, err := k.save(&surveyv1.SaveAnswerProgressRequest{Token: link.GetToken(), Responses: everyResponse()[:5]}); err != nil {
		t.Fatal(err)
	}
	if got := k.form(link.GetToken()); !sameResponses(got.GetResponses(), everyResponse()[:5]) || len(got.GetShownQuestions()) != 10 ||
		!got.GetSaveTime().AsTime().Equal(k.Clock.Now()) {
		t.Errorf("saved form %v", got)
	}
	// The submission brings the rest, and what it does not name is taken from what was saved.
	k.submit(link.GetToken(), everyResponse()[5:]...)
	list, err := k.questionnaires.ListAnswers(k.crm(), &surveyv1.ListAnswersRequest{QuestionnaireId: q.GetId()})
	if err != nil || len(list.GetAnswers()) != 1 || !sameResponses(list.GetAnswers()[0].GetResponses(), everyResponse()) {
		t.Fatalf("answers %v, %v", list, err)
	}
	if n := k.count(`SELECT count(*) FROM answer_progress`); n != 0 {
		t.Errorf("%d saved forms are left of an answered one", n)
	}
	for range 2 { // counted as it is, and folded
		results, err := k.questionnaires.GetResults(k.crm(), &surveyv1.GetResultsRequest{QuestionnaireId: q.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		byKey := map[string]*surveyv1.QuestionResult{}
		for _, result := range results.GetQuestions() {
			if byKey[result.GetQuestionKey()] = result; result.GetN() != 1 {
				t.Errorf("n of %s is %d", result.GetQuestionKey(), result.GetN())
			}
		}
		if len(byKey) != 11 || byKey["rows.price"].GetMean() != 2 || byKey["rows.speed"].GetCsat() != 1 {
			t.Errorf("results %v", results)
		}
		if hours, day := byKey["hours"], byKey["day"]; !near(hours.Least, -2.5) || !near(hours.Median, -2.5) || !near(hours.Greatest, -2.5) || !near(hours.Mean, -2.5) ||
			hours.StandardDeviation != nil || day.GetEarliestDate() != "2026-02-28" || day.GetLatestDate() != "2026-02-28" || day.Mean != nil {
			t.Errorf("number %v, date %v", hours, day)
		}
		many := byKey["many"].GetDistribution()
		if len(many) != 3 || many[0].GetCount() != 1 || many[1].GetCount() != 0 || many[2].GetShare() != 1 {
			t.Errorf("multiple choice %v", many)
		}
		order := byKey["order"]
		if order.GetDistribution()[1].GetCount() != 1 || order.GetRanks()[0].GetMeanRank() != 3 || order.GetRanks()[2].GetMeanRank() != 2 {
			t.Errorf("ranking %v", order)
		}
		if err := k.server.FoldCounts(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	analysis, err := k.analyses.AnalyzeAnswers(k.crm(), &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q.GetId(), Overall: "rows.speed",
		Aspects: []*surveyv1.AnalyzedAspect{{QuestionKey: "rows.price"}}})
	if err != nil || analysis.GetAspects()[0].GetLabel().GetEn() != "rows? price?" {
		t.Errorf("analysis %v, %v", analysis, err)
	}
}

func TestProgressIsMergedAndCleared(t *testing.T) {
	k := newKit(t)
	q := k.published(must(question("a", single, "x", "y")), shownWhen(must(question("b", rating)), "a", "x"), question("c", words))
	token := k.invite(q.GetId(), k.customer()).GetToken()
	step := func(req *surveyv1.SaveAnswerProgressRequest, shown, missing []string, saved ...*surveyv1.Response) {
		t.Helper()
		req.Token = token
		got, err := k.save(req)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.GetShownQuestions(), shown) || !slices.Equal(got.GetMissingQuestions(), missing) || !sameResponses(got.GetResponses(), saved) {
			t.Errorf("after %v the form is %v", req, got)
		}
		if again := k.form(token); !proto.Equal(again, got) {
			t.Errorf("opened again it is %v, want %v", again, got)
		}
	}
	step(&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{comment("c", "1")}}, []string{"a", "c"}, []string{"a"}, comment("c", "1"))
	step(&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{choice("a", "x")}}, []string{"a", "b", "c"}, []string{"b"}, choice("a", "x"), comment("c", "1"))
	step(&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{score("b", 3), comment("c", "2")}}, []string{"a", "b", "c"}, nil,
		choice("a", "x"), score("b", 3), comment("c", "2"))
	// What is not shown any more stays saved, in case it is shown again.
	step(&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{choice("a", "y")}, ClearedQuestions: []string{"c"}}, []string{"a", "c"}, nil,
		choice("a", "y"), score("b", 3))
	receipt := k.submit(token)
	if !slices.Equal(receipt.GetDroppedQuestions(), []string{"b"}) {
		t.Errorf("receipt %v", receipt)
	}
	if n := k.count(`SELECT count(*) FROM answer_responses`); n != 1 {
		t.Errorf("%d responses kept", n)
	}
	_, err := k.save(&surveyv1.SaveAnswerProgressRequest{Token: token})
	refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
}

func TestSaveRefuses(t *testing.T) {
	k := newKit(t)
	sectioned := &surveyv1.Questionnaire{Title: both("t"), Sections: []*surveyv1.Section{{Key: "one", Title: both("1")}, {Key: "two", Title: both("2")}},
		Questions: []*surveyv1.Question{must(question("a", rating)), must(question("b", rating))}, Thanks: &typev1.Text{Zh: "谢谢"}}
	sectioned.Questions[0].SectionKey, sectioned.Questions[1].SectionKey = "one", "two"
	sectioned.Title.En = ""
	q, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{Questionnaire: sectioned})
	if err != nil {
		t.Fatal(err)
	}
	k.publish(q.GetId())
	token := k.invite(q.GetId(), k.customer()).GetToken()
	for name, c := range map[string]struct {
		req    *surveyv1.SaveAnswerProgressRequest
		reason string
		fields []string
	}{
		"bad score":             {&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{score("a", 6)}}, "ANSWER_INVALID", []string{"responses[0].score"}},
		"unknown":               {&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{score("z", 1)}}, "ANSWER_INVALID", []string{"responses[0].question_key"}},
		"cleared unknown":       {&surveyv1.SaveAnswerProgressRequest{ClearedQuestions: []string{"z"}}, "ANSWER_INVALID", []string{"cleared_questions[0]"}},
		"cleared and given":     {&surveyv1.SaveAnswerProgressRequest{Responses: []*surveyv1.Response{score("a", 5)}, ClearedQuestions: []string{"a"}}, "ANSWER_INVALID", []string{"cleared_questions[0]"}},
		"section not done":      {&surveyv1.SaveAnswerProgressRequest{FinishedSection: "one"}, "ANSWER_INVALID", []string{"responses"}},
		"no such section":       {&surveyv1.SaveAnswerProgressRequest{FinishedSection: "six"}, "VALIDATION_FAILED", []string{"finished_section"}},
		"token of another size": {&surveyv1.SaveAnswerProgressRequest{Token: "x"}, "VALIDATION_FAILED", []string{"token"}},
	} {
		if c.req.Token == "" {
			c.req.Token = token
		}
		_, err := k.save(c.req)
		t.Log(name)
		refused(t, err, codes.InvalidArgument, c.reason, c.fields...)
	}
	if n := k.count(`SELECT count(*) FROM answer_progress`); n != 0 {
		t.Errorf("%d forms saved", n)
	}
	if _, err := k.save(&surveyv1.SaveAnswerProgressRequest{Token: token, FinishedSection: "one", Responses: []*surveyv1.Response{score("a", 5)}}); err != nil {
		t.Errorf("a section done: %v", err)
	}
	if receipt := k.submit(token, score("b", 4)); receipt.GetThanks().GetEn() != "谢谢" {
		t.Errorf("receipt %v", receipt)
	}
	expired := k.invite(q.GetId(), k.customer()).GetToken()
	k.Clock.Advance(31 * 24 * time.Hour)
	_, err = k.save(&surveyv1.SaveAnswerProgressRequest{Token: expired})
	refused(t, err, codes.FailedPrecondition, "INVITATION_EXPIRED")
	_, err = k.save(&surveyv1.SaveAnswerProgressRequest{Token: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
}

func TestFormIsThatOfTheCustomer(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), shownToTier(must(question("key", rating)), "TIER_KEY"), shownToTier(question("b", rating), "TIER_B"))
	customer := k.customer() // of tier B
	token := k.invite(q.GetId(), customer).GetToken()
	form := k.form(token)
	if keys := form.GetShownQuestions(); !slices.Equal(keys, []string{"a", "b"}) || len(form.GetQuestionnaire().GetQuestions()) != 2 ||
		form.GetQuestionnaire().GetQuestions()[1].GetShowIf() != nil {
		t.Errorf("form %v", form)
	}
	changed := ref(customer, true, 2)
	changed.Tier = typev1.Tier_TIER_KEY
	if _, err := customerref.Apply(t.Context(), k.Pool, changed); err != nil {
		t.Fatal(err)
	}
	_, err := k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: token, Responses: []*surveyv1.Response{score("b", 1)}})
	refused(t, err, codes.InvalidArgument, "ANSWER_INVALID", "responses")
	if receipt := k.submit(token, score("b", 1), score("key", 2)); !slices.Equal(receipt.GetDroppedQuestions(), []string{"b"}) {
		t.Errorf("receipt %v", receipt)
	}
}

func TestSavesOfTwoTabsAreBothKept(t *testing.T) {
	k := newKit(t)
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var questions []*surveyv1.Question
	for _, key := range keys {
		questions = append(questions, question(key, rating))
	}
	token := k.invite(k.published(questions...).GetId(), k.customer()).GetToken()
	var tabs sync.WaitGroup
	for i, key := range keys {
		tabs.Go(func() {
			if _, err := k.save(&surveyv1.SaveAnswerProgressRequest{Token: token, Responses: []*surveyv1.Response{score(key, 1+int32(i%5))}}); err != nil {
				t.Errorf("save %s: %v", key, err)
			}
		})
	}
	tabs.Wait()
	if got := k.form(token); len(got.GetResponses()) != len(keys) || len(got.GetMissingQuestions()) != 0 {
		t.Errorf("form %v", got)
	}
}
