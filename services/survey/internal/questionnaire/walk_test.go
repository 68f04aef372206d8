package questionnaire_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// chance draws questionnaires, customers and answers.
type chance struct{ *rand.Rand }

func (c chance) some(keys ...string) []string {
	var out []string
	for _, key := range keys {
		if c.IntN(2) == 0 {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		out = keys[:1]
	}
	return out
}

func (c chance) question(i int) *surveyv1.Question {
	key := fmt.Sprintf("q%d", i)
	switch c.IntN(7) {
	case 0:
		return question(key, single, "x", "y", "z")
	case 1:
		return question(key, multi, "x", "y", "z")
	case 2:
		return rows(key, "x", "y")
	case 3:
		return question(key, figure)
	case 4:
		return question(key, date)
	case 5:
		return question(key, ranks, "x", "y", "z")
	}
	return question(key, rating)
}

func (c chance) test(q *surveyv1.Question) *surveyv1.ConditionTest {
	key := q.GetKey()
	if c.IntN(4) == 0 {
		return answered(key, c.IntN(2) == 0)
	}
	least := float64(c.IntN(5))
	switch q.GetType() {
	case single, multi, ranks:
		if c.IntN(2) == 0 {
			return noneOf(key, c.some("x", "y", "z")...)
		}
		return oneOf(key, c.some("x", "y", "z")...)
	case matrix:
		return rowWithin(key, c.some("x", "y")[0], least, least+2)
	case date:
		return between(key, fmt.Sprintf("2026-01-0%d", 1+c.IntN(4)), fmt.Sprintf("2026-01-0%d", 4+c.IntN(4)))
	}
	return within(key, least, least+2)
}

func (c chance) condition(before []*surveyv1.Question) *surveyv1.Condition {
	if c.IntN(3) == 0 {
		return nil
	}
	out := new(surveyv1.Condition)
	for range 1 + c.IntN(2) {
		var tests []*surveyv1.ConditionTest
		for range 1 + c.IntN(2) {
			switch {
			case c.IntN(5) == 0:
				tests = append(tests, tier(c.some("TIER_C", "TIER_KEY")...))
			case c.IntN(8) == 0 || len(before) == 0:
				tests = append(tests, region(answered("", c.IntN(2) == 0)))
			default:
				tests = append(tests, c.test(before[c.IntN(len(before))]))
			}
		}
		out.AnyOf = append(out.AnyOf, &surveyv1.ConditionGroup{AllOf: tests})
	}
	return out
}

func (c chance) questionnaire() *surveyv1.Questionnaire {
	q := of()
	sections := c.IntN(3)
	for i := range 2 + c.IntN(5) {
		next := c.question(i)
		if sections > 0 {
			at := min(i*sections/4, sections-1)
			next.SectionKey = fmt.Sprintf("s%d", at)
			if len(q.Sections) <= at {
				q.Sections = append(q.Sections, &surveyv1.Section{Key: next.GetSectionKey(), Title: both("s"), ShowIf: c.condition(q.Questions)})
			}
		}
		next.ShowIf = c.condition(q.Questions)
		next.RandomOrder = next.GetType() != rating && next.GetType() != figure && next.GetType() != date
		q.Questions = append(q.Questions, next)
	}
	return q
}

func (c chance) facts() questionnaire.Facts {
	return questionnaire.Facts{
		surveyv1.CustomerField_CUSTOMER_FIELD_TIER:   []string{"TIER_C", "TIER_KEY", ""}[c.IntN(3)],
		surveyv1.CustomerField_CUSTOMER_FIELD_REGION: []string{"SP", ""}[c.IntN(2)],
	}
}

func (c chance) response(q *surveyv1.Question) *surveyv1.Response {
	key := q.GetKey()
	switch q.GetType() {
	case single:
		return choice(key, c.some("x", "y", "z")[0])
	case multi:
		return picks(key, c.some("x", "y", "z")...)
	case ranks:
		keys := []string{"x", "y", "z"}
		c.Shuffle(3, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		return ranking(key, keys...)
	case matrix:
		var rated []*surveyv1.RowScore
		for _, row := range c.some("x", "y") {
			rated = append(rated, cell(row, 1+int32(c.IntN(5))))
		}
		return cells(key, rated...)
	case figure:
		return number(key, float64(c.IntN(7)))
	case date:
		return day(key, fmt.Sprintf("2026-01-0%d", 1+c.IntN(9)))
	}
	return score(key, 1+int32(c.IntN(5)))
}

func (c chance) responses(q *surveyv1.Questionnaire) []*surveyv1.Response {
	var out []*surveyv1.Response
	for _, question := range q.GetQuestions() {
		if c.IntN(4) > 0 {
			out = append(out, c.response(question))
		}
	}
	return out
}

// naive asks of every question from anew whether it is shown, by recursion.
type naive struct {
	q     *surveyv1.Questionnaire
	facts questionnaire.Facts
	given map[string]*surveyv1.Response
}

func (n naive) shown(key string) bool {
	for _, question := range n.q.GetQuestions() {
		if question.GetKey() != key {
			continue
		}
		for _, section := range n.q.GetSections() {
			if section.GetKey() == question.GetSectionKey() && !n.met(section.GetShowIf()) {
				return false
			}
		}
		return n.met(question.GetShowIf())
	}
	return false
}

func (n naive) met(c *surveyv1.Condition) bool {
	any := c == nil
	for _, group := range c.GetAnyOf() {
		every := true
		for _, test := range group.GetAllOf() {
			every = every && n.pass(test)
		}
		any = any || every
	}
	return any
}

func (n naive) pass(test *surveyv1.ConditionTest) bool {
	var values []string
	var numbers []float64
	there := false
	if field := test.GetCustomer(); field != 0 {
		if fact := n.facts[field]; fact != "" {
			values, there = []string{fact}, true
		}
	} else if r := n.given[test.GetQuestionKey()]; r != nil && n.shown(test.GetQuestionKey()) {
		there = true
		if r.GetChoice() != "" {
			values = append(values, r.GetChoice())
		}
		values = append(values, r.GetChoices().GetKeys()...)
		if rank := r.GetRanking().GetKeys(); len(rank) > 0 {
			values = append(values, rank[0])
		}
		numbers = append(numbers, float64(r.GetScore())+r.GetNumber())
		if r.GetRows() != nil {
			there = test.GetRowKey() == ""
			for _, one := range r.GetRows().GetScores() {
				if one.GetRowKey() == test.GetRowKey() {
					numbers, there = []float64{float64(one.GetScore())}, true
				}
			}
		}
		if r.GetDate() != "" && test.GetBetween() != nil {
			return r.GetDate() >= test.GetBetween().GetLeast() && r.GetDate() <= test.GetBetween().GetGreatest()
		}
	}
	switch want := test.GetTest().(type) {
	case *surveyv1.ConditionTest_Answered:
		return want.Answered == there
	case *surveyv1.ConditionTest_OneOf:
		return there && slices.ContainsFunc(values, func(v string) bool { return slices.Contains(want.OneOf.GetValues(), v) })
	case *surveyv1.ConditionTest_NoneOf:
		return there && !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(want.NoneOf.GetValues(), v) })
	case *surveyv1.ConditionTest_Within:
		return there && numbers[0] >= want.Within.GetLeast() && numbers[0] <= want.Within.GetGreatest()
	}
	return false
}

func TestShownAgreesWithANaiveWalk(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(1, 2))}
	hidden := 0
	for range 10000 {
		q, facts := c.questionnaire(), c.facts()
		responses := c.responses(q)
		given := questionnaire.ByQuestion(responses)
		n := naive{q, facts, given}
		var want []string
		for _, question := range q.GetQuestions() {
			if n.shown(question.GetKey()) {
				want = append(want, question.GetKey())
			} else {
				hidden++
			}
		}
		got := questionnaire.Shown(q, facts, given)
		if !slices.Equal(got, want) {
			t.Fatalf("shown %q, want %q, of %v with %v, %v", got, want, q, facts, responses)
		}
		form := questionnaire.Form(q, facts, c.Int64())
		// What is left of the form decides without the customer, and nothing is lost or won.
		if reduced := questionnaire.Shown(form, nil, given); !slices.Equal(sorted(reduced), sorted(want)) {
			t.Fatalf("the form shows %q, want %q, of %v with %v, %v", reduced, want, q, facts, responses)
		}
		// Only answers to what is shown are taken, whatever is given.
		for _, fault := range questionnaire.CheckAnswer(q, facts, responses) {
			if slices.Contains(want, fault.Question) {
				t.Fatalf("an answer to %s, which is shown, is refused: %s", fault.Question, fault.Text.EN)
			}
		}
		if faults := questionnaire.CheckAnswer(q, facts, given.In(want)); len(faults) > 0 {
			t.Fatalf("what is shown is refused: %v", faults)
		}
	}
	if hidden < 5000 {
		t.Errorf("only %d questions were hidden: the test tests little", hidden)
	}
}

func sorted(keys []string) []string { return slices.Sorted(slices.Values(keys)) }

func TestOrderIsThatOfTheSeed(t *testing.T) {
	q := of(question("a", single, "v", "w", "x", "y", "z"), question("b", rating), question("c", rating), question("d", rating), rows("e", "x", "y", "z"))
	q.RandomOrder, q.Questions[0].RandomOrder, q.Questions[4].RandomOrder = true, true, true
	q.Questions[0].Choices[4].Fixed = true
	orders := map[string]int{}
	before := proto.CloneOf(q)
	for seed := range int64(200) {
		form := questionnaire.Form(q, nil, seed)
		if again := questionnaire.Form(q, nil, seed); !proto.Equal(form, again) {
			t.Fatalf("seed %d gives two forms", seed)
		}
		var keys []string
		for _, question := range form.GetQuestions() {
			keys = append(keys, question.GetKey())
			if question.GetKey() == "a" {
				if question.GetChoices()[4].GetKey() != "z" {
					t.Fatalf("seed %d moves a fixed choice", seed)
				}
				orders["choices "+question.GetChoices()[0].GetKey()]++
			}
			if question.GetKey() == "e" {
				orders["rows "+question.GetRows()[0].GetKey()]++
			}
		}
		orders["questions "+keys[0]]++
		if !slices.Equal(sorted(keys), []string{"a", "b", "c", "d", "e"}) {
			t.Fatalf("seed %d asks %q", seed, keys)
		}
	}
	if !proto.Equal(q, before) {
		t.Error("a form changes its questionnaire")
	}
	// Each comes first about equally often: of 200 draws 40, 50 or 66, and never less than half of it.
	for _, first := range []string{"questions a", "questions e", "choices v", "choices y", "rows x", "rows z"} {
		if orders[first] < 20 {
			t.Errorf("%s stood first %d times of 200", first, orders[first])
		}
	}
	fixed := of(question("a", rating), question("b", rating))
	if got := questionnaire.Form(fixed, nil, 7).GetQuestions(); got[0].GetKey() != "a" || got[1].GetKey() != "b" {
		t.Errorf("without random order the form asks %v", got)
	}
}

func TestFormsFallBackToTheOtherLanguage(t *testing.T) {
	q := of(question("a", single, "x", "y"))
	q.Title.En, q.Questions[0].Choices[1].Text.Zh = "", " "
	q.Questions[0].Help = both("h")
	q.Questions[0].Help.Zh = ""
	form := questionnaire.Form(q, nil, 1)
	if form.GetTitle().GetEn() != form.GetTitle().GetZh() || form.GetQuestions()[0].GetChoices()[1].GetText().GetZh() != "y" ||
		form.GetQuestions()[0].GetHelp().GetZh() != "h" {
		t.Errorf("form %v", form)
	}
}
