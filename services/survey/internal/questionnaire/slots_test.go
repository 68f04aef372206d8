package questionnaire_test

import (
	"slices"
	"testing"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

func TestSlotsStay(t *testing.T) {
	const (
		rating = surveyv1.QuestionType_QUESTION_TYPE_RATING
		nps    = surveyv1.QuestionType_QUESTION_TYPE_NPS
		single = surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE
		text   = surveyv1.QuestionType_QUESTION_TYPE_TEXT
	)
	ask := func(key string, kind surveyv1.QuestionType, choices ...string) *surveyv1.Question {
		q := &surveyv1.Question{Key: key, Type: kind}
		for _, c := range choices {
			q.Choices = append(q.Choices, &surveyv1.Choice{Key: c})
		}
		return q
	}
	var earlier []questionnaire.Slot
	for version, c := range []struct {
		questions []*surveyv1.Question
		want      []questionnaire.Slot
	}{
		{[]*surveyv1.Question{ask("t", text), ask("a", rating), ask("c", single, "x", "y")},
			[]questionnaire.Slot{{"a", rating, 1, nil}, {"c", single, 2, []string{"x", "y"}}}},
		// One goes, one turns, and the choices change their order.
		{[]*surveyv1.Question{ask("c", single, "z", "x"), ask("a", nps)},
			[]questionnaire.Slot{{"c", single, 2, []string{"x", "y", "z"}}, {"a", nps, 3, nil}}},
		// What went comes back to its place.
		{[]*surveyv1.Question{ask("a", rating), ask("b", rating), ask("c", single, "y", "w")},
			[]questionnaire.Slot{{"a", rating, 1, nil}, {"b", rating, 4, nil}, {"c", single, 2, []string{"x", "y", "z", "w"}}}},
	} {
		got := questionnaire.Slots(earlier, &surveyv1.Questionnaire{Questions: c.questions})
		if !slices.EqualFunc(got, c.want, func(a, b questionnaire.Slot) bool {
			return a.Key == b.Key && a.Type == b.Type && a.Number == b.Number && slices.Equal(a.Choices, b.Choices)
		}) {
			t.Errorf("version %d: %v, want %v", version+1, got, c.want)
		}
		earlier = append(earlier, got...)
	}
}
