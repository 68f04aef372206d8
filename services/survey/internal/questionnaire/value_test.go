package questionnaire_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// everyType asks one question of each type with a rule.
func everyType() *surveyv1.Questionnaire {
	m := question("m", multi, "x", "y", "z", "none")
	m.Choices[3].Exclusive = true
	m.ChoiceRule = &surveyv1.ChoiceRule{Greatest: 2}
	k := question("k", ranks, "x", "y", "z")
	k.ChoiceRule = &surveyv1.ChoiceRule{Greatest: 2}
	f := question("f", figure)
	f.NumberRule = &surveyv1.NumberRule{Least: proto.Float64(0), Greatest: proto.Float64(100), Decimals: 1}
	d := question("d", date)
	d.DateRule = &surveyv1.DateRule{Least: "2026-01-01", Greatest: "2026-12-31"}
	t := question("t", words)
	t.TextRule = &surveyv1.TextRule{Least: 3, Greatest: 5, SingleLine: true}
	return of(question("r", rating), question("n", nps), question("e", effort), question("s", single, "x", "y"), m, rows("g", "x", "y"), k, f, d, t,
		question("any", figure))
}

func TestCheckResponses(t *testing.T) {
	for name, c := range map[string]struct {
		response *surveyv1.Response
		// field at fault, empty where it fits, and a word that its text must hold.
		field, word string
	}{
		"effort at its end":             {score("e", 7), "", ""},
		"effort beyond":                 {score("e", 8), "score", "8"},
		"choices":                       {picks("m", "z", "x"), "", ""},
		"no choices":                    {picks("m"), "choices", "0"},
		"too many choices":              {picks("m", "x", "y", "z"), "choices", "3"},
		"unknown among choices":         {picks("m", "x", "w"), "choices", `"w"`},
		"a choice twice":                {picks("m", "x", "x"), "choices", "twice"},
		"exclusive alone":               {picks("m", "none"), "", ""},
		"exclusive beside another":      {picks("m", "x", "none"), "choices", `"none"`},
		"a choice for many":             {choice("m", "x"), "choice", "choices"},
		"matrix":                        {cells("g", cell("x", 1), cell("y", 5)), "", ""},
		"matrix in part":                {cells("g", cell("y", 3)), "", ""},
		"matrix without rows":           {cells("g"), "rows", "x, y"},
		"unknown row":                   {cells("g", cell("w", 3)), "rows", `"w"`},
		"a row twice":                   {cells("g", cell("x", 3), cell("x", 4)), "rows", "twice"},
		"row score 0":                   {cells("g", cell("x", 0)), "rows", "0"},
		"row score 6":                   {cells("g", cell("x", 3), cell("y", 6)), "rows", "6"},
		"ranking":                       {ranking("k", "z", "x"), "", ""},
		"ranking in part":               {ranking("k", "z"), "", ""},
		"empty ranking":                 {ranking("k"), "ranking", "0"},
		"too many places":               {ranking("k", "x", "y", "z"), "ranking", "3"},
		"ranked twice":                  {ranking("k", "x", "x"), "ranking", "twice"},
		"unknown ranked":                {ranking("k", "w"), "ranking", `"w"`},
		"choices for a ranking":         {picks("k", "x"), "choices", "ranking"},
		"number":                        {number("f", 99.9), "", ""},
		"number at its ends":            {number("f", 0), "", ""},
		"a tenth that is no double":     {number("f", 0.1+0.2), "", ""},
		"number too small":              {number("f", -0.1), "number", "-0.1"},
		"number too great":              {number("f", 100.1), "number", "100.1"},
		"too many digits":               {number("f", 1.25), "number", "1.25"},
		"not a number":                  {number("f", math.NaN()), "number", "NaN"},
		"infinite":                      {number("any", math.Inf(1)), "number", "Inf"},
		"whole number without a rule":   {number("any", -1e9), "", ""},
		"half without a rule":           {number("any", 0.5), "number", "0.5"},
		"greater than can be kept":      {number("any", 1e9+1), "number", "1000000000"},
		"day":                           {day("d", "2026-02-28"), "", ""},
		"first day":                     {day("d", "2026-01-01"), "", ""},
		"day before":                    {day("d", "2025-12-31"), "date", "2025-12-31"},
		"day after":                     {day("d", "2027-01-01"), "date", "2027-01-01"},
		"no day of the calendar":        {day("d", "2026-02-29"), "date", "2026-02-29"},
		"day of another form":           {day("d", "2026-2-1"), "date", "2026-2-1"},
		"empty day":                     {day("d", ""), "date", `""`},
		"text":                          {text("t", "四个字符"), "", ""},
		"text too short":                {text("t", "短短"), "text", "2"},
		"text too long":                 {text("t", "六个字符以上"), "text", "6"},
		"text of two lines":             {text("t", "a\nbc"), "text", "one"},
		"rows for a rating":             {cells("r", cell("x", 1)), "rows", "score"},
		"number for a date":             {number("d", 1), "number", "date"},
		"nothing for a matrix":          {&surveyv1.Response{QuestionKey: "g"}, "rows", "no value"},
		"nothing for multiple choice":   {&surveyv1.Response{QuestionKey: "m"}, "choices", "no value"},
		"a key that only looks like it": {score("g.x", 3), "question_key", `"g.x"`},
	} {
		faults := questionnaire.CheckResponses(everyType(), []*surveyv1.Response{c.response})
		var want []string
		if c.field != "" {
			want = []string{"responses[0]." + c.field + " " + c.response.GetQuestionKey()}
		}
		if got := where(t, faults); !slices.Equal(got, want) {
			t.Errorf("%s: faults at %q, want %q", name, got, want)
		} else if len(faults) > 0 && !strings.Contains(faults[0].Text.EN, c.word) {
			t.Errorf("%s: %q does not name %q", name, faults[0].Text.EN, c.word)
		}
	}
}

func TestMissingInFull(t *testing.T) {
	q := everyType()
	for _, question := range q.GetQuestions() {
		question.Required = true
	}
	q.Questions = q.GetQuestions()[5:7] // matrix and ranking
	for name, c := range map[string]struct {
		given []*surveyv1.Response
		want  []string
	}{
		"nothing": {nil, []string{"responses g", "responses k"}},
		"in part": {[]*surveyv1.Response{cells("g", cell("x", 1)), ranking("k", "y")}, []string{"responses g", "responses k"}},
		"in full": {[]*surveyv1.Response{cells("g", cell("x", 1), cell("y", 1)), ranking("k", "y", "x")}, nil},
	} {
		if got := where(t, questionnaire.CheckAnswer(q, nil, c.given)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRowsOfAMatrixAreScored(t *testing.T) {
	q := of(rows("g", "x", "y"), question("r", rating))
	got := questionnaire.Thresholds{Rating: 2, NPS: 6}.Score(q, []*surveyv1.Response{score("r", 3), cells("g", cell("y", 1), cell("x", 4))})
	if want := (questionnaire.Score{First: 4, Low: true, LowQuestion: "g.y", LowScore: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	slots := questionnaire.Slots(nil, q)
	if len(slots) != 3 || slots[0].Key != "g.x" || slots[1].Key != "g.y" || slots[1].Type != rating || slots[2].Number != 3 {
		t.Errorf("slots %+v", slots)
	}
}
