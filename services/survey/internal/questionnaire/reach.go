package questionnaire

import (
	"fmt"
	"math"
	"slices"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// reach finds the questions that no customer can be shown. It follows, question by question, the
// ways in which each can come to be shown: one group of its section and one of its own together
// with a way of each question that these want an answer to.
func (c *checker) reach() {
	ways := make(map[string][]way, len(c.q.GetQuestions()))
	for i, question := range c.q.GetQuestions() {
		if c.places[question.GetKey()] != i {
			continue // of two with one key the first counts
		}
		var section *surveyv1.Condition
		if at, known := c.sections[question.GetSectionKey()]; known {
			section = c.q.GetSections()[at].GetShowIf()
		}
		found := c.ways(section, question.GetShowIf(), ways)
		ways[question.GetKey()] = found
		if len(found) == 0 {
			c.add(Fault{Kind: Unreachable, Path: fmt.Sprintf("questions[%d]", i), Question: question.GetKey(), Text: rpcerr.T(
				"no customer is ever shown the question %[1]q: what it or its section is shown for cannot happen; correct show_if or take the question out",
				"任何客户都不会看到问题 %[1]q：其自身或所在部分的显示条件不可能满足；请更正 show_if 或删除该问题", question.GetKey())})
		}
	}
}

// ways are those in which something under both conditions can be shown. Where there are too many
// of them it is one way without any demand.
func (c *checker) ways(section, own *surveyv1.Condition, known map[string][]way) []way {
	var out []way
	for _, outer := range groups(section) {
		for _, inner := range groups(own) {
			for _, found := range c.widen(slices.Concat(outer, inner), known) {
				if out = append(out, found); len(out) > maxWays {
					return []way{nil}
				}
			}
		}
	}
	return out
}

// groups are those of a condition; without a condition one that demands nothing.
func groups(condition *surveyv1.Condition) []way {
	if condition == nil {
		return []way{nil}
	}
	out := make([]way, 0, len(condition.GetAnyOf()))
	for _, group := range condition.GetAnyOf() {
		out = append(out, group.GetAllOf())
	}
	return out
}

// widen adds to tests what must hold for the questions that they want an answer to, in every
// combination that can be met.
func (c *checker) widen(tests way, known map[string][]way) []way {
	if !c.feasible(tests) {
		return nil
	}
	open := []way{tests}
	done := map[string]bool{}
	for _, test := range tests {
		key := test.GetQuestionKey()
		want, answered := test.GetTest().(*surveyv1.ConditionTest_Answered)
		if key == "" || done[key] || answered && !want.Answered {
			continue
		}
		done[key] = true
		var next []way
		for _, one := range open {
			for _, other := range known[key] {
				if c.tries++; c.tries > maxTries {
					return []way{nil}
				}
				if both := slices.Concat(one, other); c.feasible(both) {
					next = append(next, both)
				}
				if len(next) > maxWays {
					return []way{nil}
				}
			}
		}
		open = next
	}
	return open
}

// feasible tells whether one customer can pass all tests. Of multiple choice it finds only that
// single choices are wanted and refused at once, not what limits of their number exclude.
func (c *checker) feasible(tests []*surveyv1.ConditionTest) bool {
	byQuestion := map[string][]*surveyv1.ConditionTest{}
	byField := map[surveyv1.CustomerField][]*surveyv1.ConditionTest{}
	for _, test := range tests {
		if field := test.GetCustomer(); field != 0 {
			byField[field] = append(byField[field], test)
		} else {
			byQuestion[test.GetQuestionKey()] = append(byQuestion[test.GetQuestionKey()], test)
		}
	}
	for field, tests := range byField {
		if !feasibleFact(field, tests) {
			return false
		}
	}
	for key, tests := range byQuestion {
		if !feasibleAnswer(c.question(key), tests) {
			return false
		}
	}
	return true
}

// absent tells how many of the tests want that there is no answer.
func absent(tests []*surveyv1.ConditionTest) int {
	n := 0
	for _, test := range tests {
		if want, ok := test.GetTest().(*surveyv1.ConditionTest_Answered); ok && !want.Answered {
			n++
		}
	}
	return n
}

func feasibleFact(field surveyv1.CustomerField, tests []*surveyv1.ConditionTest) bool {
	switch absent(tests) {
	case 0:
	case len(tests):
		return true
	default:
		return false
	}
	candidates := slices.Clone(factValues(field))
	if candidates == nil {
		// Of an open field: the values named, and one that no test names.
		candidates = append(candidates, "\x00")
		for _, test := range tests {
			candidates = append(candidates, test.GetOneOf().GetValues()...)
		}
	}
	return slices.ContainsFunc(candidates, func(value string) bool {
		return !slices.ContainsFunc(tests, func(test *surveyv1.ConditionTest) bool { return !passesFact(test, value) })
	})
}

func feasibleAnswer(question *surveyv1.Question, tests []*surveyv1.ConditionTest) bool {
	switch absent(tests) {
	case 0:
	case len(tests):
		return true
	default:
		return false
	}
	switch kind := question.GetType(); {
	case kind == kindMultiple:
		return feasiblePicks(question, tests)
	case hasChoices(kind):
		return slices.ContainsFunc(question.GetChoices(), func(choice *surveyv1.Choice) bool {
			return passesAll(tests, &surveyv1.Response{Value: &surveyv1.Response_Choice{Choice: choice.GetKey()}})
		})
	case kind == kindDate:
		least, greatest := days(question.GetDateRule())
		for _, test := range tests {
			least = max(least, test.GetBetween().GetLeast())
			if end := test.GetBetween().GetGreatest(); end != "" {
				greatest = min(greatest, end)
			}
		}
		return least <= greatest
	case kind == kindText:
		return true
	}
	return feasibleNumbers(question, tests)
}

func passesAll(tests []*surveyv1.ConditionTest, response *surveyv1.Response) bool {
	for _, test := range tests {
		response.QuestionKey = test.GetQuestionKey()
		if !passes(test, nil, Answers{test.GetQuestionKey(): response}) {
			return false
		}
	}
	return true
}

// feasiblePicks lets the customer choose all that no test refuses.
func feasiblePicks(question *surveyv1.Question, tests []*surveyv1.ConditionTest) bool {
	var refused, left []string
	for _, test := range tests {
		refused = append(refused, test.GetNoneOf().GetValues()...)
	}
	for _, choice := range question.GetChoices() {
		if !slices.Contains(refused, choice.GetKey()) {
			left = append(left, choice.GetKey())
		}
	}
	if len(left) == 0 {
		return false
	}
	return passesAll(tests, &surveyv1.Response{Value: &surveyv1.Response_Choices{Choices: &surveyv1.ChoiceList{Keys: left}}})
}

// feasibleNumbers narrows the scale of the question, or of each row, by the tests.
func feasibleNumbers(question *surveyv1.Question, tests []*surveyv1.ConditionTest) bool {
	type span struct{ least, greatest float64 }
	spans := map[string]span{}
	for _, test := range tests {
		s, begun := spans[test.GetRowKey()]
		if !begun {
			s.least, s.greatest = scale(question)
		}
		if w := test.GetWithin(); w != nil {
			if w.Least != nil {
				s.least = max(s.least, w.GetLeast())
			}
			if w.Greatest != nil {
				s.greatest = min(s.greatest, w.GetGreatest())
			}
		}
		spans[test.GetRowKey()] = s
	}
	step := 1.0
	if question.GetType() == kindNumber {
		step = math.Pow10(-int(question.GetNumberRule().GetDecimals()))
	}
	for _, s := range spans {
		// The first value of the scale that is not below the least one.
		first := s.least
		if !math.IsInf(first, 0) {
			first = math.Ceil(first/step-tolerance) * step
		}
		if first > s.greatest+tolerance*step {
			return false
		}
	}
	return true
}
