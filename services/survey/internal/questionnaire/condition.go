package questionnaire

import (
	"slices"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// Facts are what is known of a customer, by field; nothing where it is not known.
type Facts map[surveyv1.CustomerField]string

// Answers are responses by the keys of their questions.
type Answers map[string]*surveyv1.Response

// ByQuestion makes answers of responses; of two to one question the later one counts.
func ByQuestion(responses []*surveyv1.Response) Answers {
	out := make(Answers, len(responses))
	for _, response := range responses {
		out[response.GetQuestionKey()] = response
	}
	return out
}

// In gives the answers of the questions with these keys, in their order.
func (a Answers) In(keys []string) []*surveyv1.Response {
	out := make([]*surveyv1.Response, 0, len(a))
	for _, key := range keys {
		if response := a[key]; response != nil {
			out = append(out, response)
		}
	}
	return out
}

// Shown gives the keys of the questions that a customer is shown who gave these answers, in the
// order of the questionnaire. What was given to a question that is not shown does not count for
// the questions after it.
func Shown(q *surveyv1.Questionnaire, facts Facts, given Answers) []string {
	sections := make(map[string]*surveyv1.Section, len(q.GetSections()))
	for _, section := range q.GetSections() {
		sections[section.GetKey()] = section
	}
	// decided holds the sections entered so far: a section's condition looks only at what stands
	// before it.
	decided := make(map[string]bool, len(sections))
	counting := make(Answers, len(given))
	var shown []string
	for _, question := range q.GetQuestions() {
		key := question.GetSectionKey()
		enter, known := decided[key]
		if !known {
			enter = Met(sections[key].GetShowIf(), facts, counting)
			decided[key] = enter
		}
		if !enter || !Met(question.GetShowIf(), facts, counting) {
			continue
		}
		shown = append(shown, question.GetKey())
		if response := given[question.GetKey()]; response != nil {
			counting[question.GetKey()] = response
		}
	}
	return shown
}

// Met tells whether a condition is met; nothing to meet is met.
func Met(c *surveyv1.Condition, facts Facts, answers Answers) bool {
	if c == nil {
		return true
	}
	return slices.ContainsFunc(c.GetAnyOf(), func(group *surveyv1.ConditionGroup) bool {
		return !slices.ContainsFunc(group.GetAllOf(), func(test *surveyv1.ConditionTest) bool {
			return !passes(test, facts, answers)
		})
	})
}

func passes(test *surveyv1.ConditionTest, facts Facts, answers Answers) bool {
	if field := test.GetCustomer(); field != 0 {
		return passesFact(test, facts[field])
	}
	response := answers[test.GetQuestionKey()]
	if want, ok := test.GetTest().(*surveyv1.ConditionTest_Answered); ok {
		return want.Answered == (response != nil)
	}
	if response == nil {
		return false
	}
	switch want := test.GetTest().(type) {
	case *surveyv1.ConditionTest_OneOf:
		keys, ok := chosen(response)
		return ok && overlap(keys, want.OneOf.GetValues())
	case *surveyv1.ConditionTest_NoneOf:
		keys, ok := chosen(response)
		return ok && !overlap(keys, want.NoneOf.GetValues())
	case *surveyv1.ConditionTest_Within:
		n, ok := numberIn(response, test.GetRowKey())
		return ok && within(want.Within, n)
	case *surveyv1.ConditionTest_Between:
		day, ok := response.GetValue().(*surveyv1.Response_Date)
		return ok && between(want.Between, day.Date)
	}
	return false
}

func passesFact(test *surveyv1.ConditionTest, fact string) bool {
	switch want := test.GetTest().(type) {
	case *surveyv1.ConditionTest_Answered:
		return want.Answered == (fact != "")
	case *surveyv1.ConditionTest_OneOf:
		return fact != "" && slices.Contains(want.OneOf.GetValues(), fact)
	case *surveyv1.ConditionTest_NoneOf:
		return fact != "" && !slices.Contains(want.NoneOf.GetValues(), fact)
	}
	return false
}

// chosen are the choices that one_of and none_of look at; false where the response has none.
func chosen(response *surveyv1.Response) ([]string, bool) {
	switch value := response.GetValue().(type) {
	case *surveyv1.Response_Choice:
		return []string{value.Choice}, true
	case *surveyv1.Response_Choices:
		return value.Choices.GetKeys(), true
	case *surveyv1.Response_Ranking:
		keys := value.Ranking.GetKeys()
		return keys[:min(1, len(keys))], true
	}
	return nil, false
}

// numberIn is the number of a response, or of the row that it rates.
func numberIn(response *surveyv1.Response, row string) (float64, bool) {
	switch value := response.GetValue().(type) {
	case *surveyv1.Response_Score:
		return float64(value.Score), true
	case *surveyv1.Response_Number:
		return value.Number, true
	case *surveyv1.Response_Rows:
		for _, cell := range value.Rows.GetScores() {
			if cell.GetRowKey() == row {
				return float64(cell.GetScore()), true
			}
		}
	}
	return 0, false
}

func overlap(some, others []string) bool {
	return slices.ContainsFunc(some, func(key string) bool { return slices.Contains(others, key) })
}

func within(r *surveyv1.NumberRange, n float64) bool {
	return (r.Least == nil || n >= r.GetLeast()) && (r.Greatest == nil || n <= r.GetGreatest())
}

// between compares days as texts: years have four digits.
func between(r *surveyv1.DateRule, day string) bool {
	return (r.GetLeast() == "" || day >= r.GetLeast()) && (r.GetGreatest() == "" || day <= r.GetGreatest())
}
