package questionnaire_test

import (
	"slices"
	"strings"
	"testing"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

const (
	rating = surveyv1.QuestionType_QUESTION_TYPE_RATING
	nps    = surveyv1.QuestionType_QUESTION_TYPE_NPS
	single = surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE
	words  = surveyv1.QuestionType_QUESTION_TYPE_TEXT
	effort = surveyv1.QuestionType_QUESTION_TYPE_EFFORT
	multi  = surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE
	matrix = surveyv1.QuestionType_QUESTION_TYPE_MATRIX
	figure = surveyv1.QuestionType_QUESTION_TYPE_NUMBER
	date   = surveyv1.QuestionType_QUESTION_TYPE_DATE
	ranks  = surveyv1.QuestionType_QUESTION_TYPE_RANKING
)

func both(s string) *typev1.Text { return &typev1.Text{Zh: s + "中", En: s} }

func question(key string, kind surveyv1.QuestionType, choices ...string) *surveyv1.Question {
	q := &surveyv1.Question{Key: key, Type: kind, Text: both(key)}
	for _, c := range choices {
		q.Choices = append(q.Choices, &surveyv1.Choice{Key: c, Text: both(c)})
	}
	return q
}

func of(questions ...*surveyv1.Question) *surveyv1.Questionnaire {
	return &surveyv1.Questionnaire{Title: both("t"), Questions: questions}
}

// where gives the places of faults as "path question", and fails on a text that is missing
// in a language or badly formatted.
func where(t *testing.T, faults []questionnaire.Fault) []string {
	t.Helper()
	places := []string{}
	for _, f := range faults {
		if f.Text.EN == "" || f.Text.ZH == "" || strings.Contains(f.Text.EN+f.Text.ZH, "%!") {
			t.Errorf("%s: texts %+v", f.Path, f.Text)
		}
		places = append(places, strings.TrimSpace(f.Path+" "+f.Question))
	}
	return places
}

func TestCheckPublish(t *testing.T) {
	partial := of(question("a", single, "x", "y"))
	partial.Questions[0].Text.En = " "
	partial.Questions[0].Choices[1].Text.Zh = ""
	chineseOnly := of(question("a", rating))
	chineseOnly.Title.En, chineseOnly.Questions[0].Text.En = "", ""
	more := of(question("a", rating))
	more.Title.En = ""
	for name, c := range map[string]struct {
		q    *surveyv1.Questionnaire
		want []string
	}{
		"complete":                     {of(question("a", rating), question("b", single, "x", "y"), question("c", words)), nil},
		"one language throughout":      {chineseOnly, nil},
		"more languages than title":    {more, nil},
		"no question":                  {of(), []string{"questions"}},
		"key twice":                    {of(question("a", rating), question("b", nps), question("a", words)), []string{"questions[2].key a"}},
		"missing translations":         {partial, []string{"questions[0].text.en a", "questions[0].choices[1].text.zh a"}},
		"single choice without any":    {of(question("a", single)), []string{"questions[0].choices a"}},
		"single choice with one":       {of(question("a", single, "x")), []string{"questions[0].choices a"}},
		"choice key twice":             {of(question("a", single, "x", "x")), []string{"questions[0].choices[1].key a"}},
		"choices of a rating":          {of(question("a", rating, "x", "y")), []string{"questions[0].choices a"}},
		"choices of an NPS":            {of(question("a", nps, "x")), []string{"questions[0].choices a"}},
		"choices of a text":            {of(question("a", words, "x", "y")), []string{"questions[0].choices a"}},
		"same choice key in two lists": {of(question("a", single, "x", "y"), question("b", single, "x", "y")), nil},
		"every fault at once": {of(question("a", single), question("a", words, "x")),
			[]string{"questions[1].key a", "questions[0].choices a", "questions[1].choices a"}},
	} {
		if got := where(t, questionnaire.CheckPublish(c.q, questionnaire.Around{})); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", name, got, c.want)
		}
	}
}

func TestCheckDraft(t *testing.T) {
	long := func(n int) string { return strings.Repeat("问", n) }
	limits := of(question("a", single, "x", "y"))
	limits.Title.Zh, limits.Questions[0].Text.Zh, limits.Questions[0].Choices[0].Text.En = long(200), long(500), long(200)
	over := of(question("a", single, "x", "y"))
	over.Title.Zh, over.Questions[0].Text.En, over.Questions[0].Choices[1].Text.Zh = long(201), long(501), long(201)
	empty := of(question("a", single, "x", "y"))
	empty.Title, empty.Questions[0].Text = nil, &typev1.Text{Zh: " \n"}
	nul := of(question("a", rating))
	nul.Title.En = "a\x00b"
	for name, c := range map[string]struct {
		q    *surveyv1.Questionnaire
		want []string
	}{
		"at the limits":      {limits, nil},
		"over the limits":    {over, []string{"title.zh", "questions[0].text.en a", "questions[0].choices[1].text.zh a"}},
		"no language":        {empty, []string{"title", "questions[0].text a"}},
		"NUL":                {nul, []string{"title.en"}},
		"may be unpublished": {of(question("a", single), question("a", rating, "x")), nil},
	} {
		if got := where(t, questionnaire.CheckDraft(c.q)); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", name, got, c.want)
		}
	}
}

func TestContentIsACopyOfWhatIsPublished(t *testing.T) {
	q := of(question("a", rating))
	q.Id, q.Etag, q.Version, q.Trigger = "x", "3", 2, surveyv1.Trigger_TRIGGER_TICKET_RESOLVED
	c := questionnaire.Content(q)
	if c.GetId() != "" || c.GetEtag() != "" || c.GetVersion() != 0 || c.GetTrigger() != q.GetTrigger() {
		t.Errorf("content %v", c)
	}
	c.Questions[0].Text.Zh = "changed"
	if q.GetQuestions()[0].GetText().GetZh() == "changed" {
		t.Error("the content shares its questions")
	}
}
