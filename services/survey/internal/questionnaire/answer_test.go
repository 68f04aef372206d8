package questionnaire_test

import (
	"slices"
	"strings"
	"testing"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

func score(key string, n int32) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Score{Score: n}}
}

func choice(key, c string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Choice{Choice: c}}
}

func text(key, s string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Text{Text: s}}
}

func survey() *surveyv1.Questionnaire {
	q := of(question("r", rating), question("n", nps), question("s", single, "x", "y"), question("t", words))
	q.Questions[0].Required = true
	return q
}

func TestCheckAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		responses []*surveyv1.Response
		want      []string
	}{
		"everything":         {[]*surveyv1.Response{score("r", 5), score("n", 0), choice("s", "y"), text("t", "ok")}, nil},
		"only the required":  {[]*surveyv1.Response{score("r", 1)}, nil},
		"upper ends":         {[]*surveyv1.Response{score("r", 5), score("n", 10), text("t", strings.Repeat("好", 5000))}, nil},
		"nothing":            {nil, []string{"responses r"}},
		"required missing":   {[]*surveyv1.Response{score("n", 9)}, []string{"responses r"}},
		"rating 0":           {[]*surveyv1.Response{score("r", 0)}, []string{"responses[0].score r"}},
		"rating 6":           {[]*surveyv1.Response{score("r", 6)}, []string{"responses[0].score r"}},
		"NPS -1":             {[]*surveyv1.Response{score("r", 3), score("n", -1)}, []string{"responses[1].score n"}},
		"NPS 11":             {[]*surveyv1.Response{score("r", 3), score("n", 11)}, []string{"responses[1].score n"}},
		"unknown choice":     {[]*surveyv1.Response{score("r", 3), choice("s", "z")}, []string{"responses[1].choice s"}},
		"text too long":      {[]*surveyv1.Response{score("r", 3), text("t", strings.Repeat("好", 5001))}, []string{"responses[1].text t"}},
		"text empty":         {[]*surveyv1.Response{score("r", 3), text("t", " ")}, []string{"responses[1].text t"}},
		"text with NUL":      {[]*surveyv1.Response{score("r", 3), text("t", "a\x00")}, []string{"responses[1].text t"}},
		"unknown question":   {[]*surveyv1.Response{score("r", 3), score("q", 3)}, []string{"responses[1].question_key q"}},
		"question twice":     {[]*surveyv1.Response{score("r", 3), score("r", 4)}, []string{"responses[1].question_key r"}},
		"no value":           {[]*surveyv1.Response{{QuestionKey: "r"}}, []string{"responses[0].score r"}},
		"text for a rating":  {[]*surveyv1.Response{text("r", "5")}, []string{"responses[0].text r"}},
		"choice for an NPS":  {[]*surveyv1.Response{score("r", 3), choice("n", "x")}, []string{"responses[1].choice n"}},
		"score for a choice": {[]*surveyv1.Response{score("r", 3), score("s", 1)}, []string{"responses[1].score s"}},
		"score for a text":   {[]*surveyv1.Response{score("r", 3), score("t", 1)}, []string{"responses[1].score t"}},
		"every fault at once": {[]*surveyv1.Response{score("n", 11), choice("s", "z"), text("q", "")},
			[]string{"responses[0].score n", "responses[1].choice s", "responses[2].question_key q", "responses r"}},
	} {
		if got := where(t, questionnaire.CheckAnswer(survey(), nil, c.responses)); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", name, got, c.want)
		}
	}
}

func TestScore(t *testing.T) {
	q := of(question("n", nps), question("r1", rating), question("r2", rating), question("n2", nps), question("t", words))
	usual := questionnaire.Thresholds{Rating: 2, NPS: 6}
	for name, c := range map[string]struct {
		limits    questionnaire.Thresholds
		responses []*surveyv1.Response
		want      questionnaire.Score
	}{
		"nothing":               {usual, nil, questionnaire.Score{}},
		"text only":             {usual, []*surveyv1.Response{text("t", "x")}, questionnaire.Score{}},
		"high":                  {usual, []*surveyv1.Response{score("r1", 3), score("n", 7)}, questionnaire.Score{First: 3}},
		"first by question":     {usual, []*surveyv1.Response{score("r2", 4), score("r1", 5)}, questionnaire.Score{First: 5}},
		"first answered":        {usual, []*surveyv1.Response{score("r2", 4)}, questionnaire.Score{First: 4}},
		"low rating":            {usual, []*surveyv1.Response{score("r1", 2)}, questionnaire.Score{First: 2, Low: true, LowQuestion: "r1", LowScore: 2}},
		"lowest rating":         {usual, []*surveyv1.Response{score("r1", 2), score("r2", 1)}, questionnaire.Score{First: 2, Low: true, LowQuestion: "r2", LowScore: 1}},
		"equal ratings":         {usual, []*surveyv1.Response{score("r2", 1), score("r1", 1)}, questionnaire.Score{First: 1, Low: true, LowQuestion: "r1", LowScore: 1}},
		"second rating low":     {usual, []*surveyv1.Response{score("r1", 5), score("r2", 2)}, questionnaire.Score{First: 5, Low: true, LowQuestion: "r2", LowScore: 2}},
		"rating before NPS":     {usual, []*surveyv1.Response{score("n", 0), score("r1", 2)}, questionnaire.Score{First: 2, Low: true, LowQuestion: "r1", LowScore: 2}},
		"NPS":                   {usual, []*surveyv1.Response{score("n", 6)}, questionnaire.Score{Low: true, LowQuestion: "n", LowScore: 6}},
		"NPS 0":                 {usual, []*surveyv1.Response{score("n", 0)}, questionnaire.Score{Low: true, LowQuestion: "n"}},
		"lowest NPS":            {usual, []*surveyv1.Response{score("n", 6), score("n2", 3), score("r1", 4)}, questionnaire.Score{First: 4, Low: true, LowQuestion: "n2", LowScore: 3}},
		"other rating limit":    {questionnaire.Thresholds{Rating: 3, NPS: 6}, []*surveyv1.Response{score("r1", 3)}, questionnaire.Score{First: 3, Low: true, LowQuestion: "r1", LowScore: 3}},
		"other NPS limit":       {questionnaire.Thresholds{Rating: 2, NPS: 4}, []*surveyv1.Response{score("n", 5)}, questionnaire.Score{}},
		"other limit, not met":  {questionnaire.Thresholds{Rating: 1, NPS: 6}, []*surveyv1.Response{score("r1", 2)}, questionnaire.Score{First: 2}},
		"unknown keys are none": {usual, []*surveyv1.Response{score("gone", 1)}, questionnaire.Score{}},
	} {
		if got := c.limits.Score(q, c.responses); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
