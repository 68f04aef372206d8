package questionnaire

import (
	"fmt"
	"math"
	"slices"
	"strings"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// maxWays bounds the ways in which a question may come to be shown that the checker follows;
// where there are more it takes the question for reachable.
const maxWays = 256

// maxTries bounds the work of one check in the same manner.
const maxTries = 200_000

// way is what has to hold, all of it, for a question to be shown.
type way []*surveyv1.ConditionTest

// logic checks the conditions: what they refer to, whether each test suits its question, whether
// a group of them can be met and whether each question can be shown at all.
func (c *checker) logic() {
	sound := true
	for i, section := range c.q.GetSections() {
		sound = c.references(fmt.Sprintf("sections[%d].show_if", i), "", section.GetShowIf(), c.beforeSection(i)) && sound
	}
	for i, question := range c.q.GetQuestions() {
		sound = c.references(fmt.Sprintf("questions[%d].show_if", i), question.GetKey(), question.GetShowIf(), c.beforeQuestion(i)) && sound
	}
	// What can be shown is only worth saying where every condition makes sense by itself.
	if sound {
		c.reach()
	}
}

// beforeSection tells which questions stand before the section at a place.
func (c *checker) beforeSection(place int) func(key string) bool {
	return func(key string) bool {
		at, known := c.sections[c.question(key).GetSectionKey()]
		return known && at < place
	}
}

// beforeQuestion tells which questions are asked before the one at a place, whatever order is
// drawn.
func (c *checker) beforeQuestion(place int) func(key string) bool {
	own := c.q.GetQuestions()[place].GetSectionKey()
	random := c.q.GetRandomOrder() && len(c.q.GetSections()) == 0
	if at, known := c.sections[own]; known {
		random = c.q.GetSections()[at].GetRandomOrder()
	}
	return func(key string) bool {
		return c.places[key] < place && !(random && c.question(key).GetSectionKey() == own)
	}
}

// references checks each test of a condition by itself, and each group; false where some test
// makes no sense.
func (c *checker) references(path, owner string, condition *surveyv1.Condition, before func(key string) bool) bool {
	sound := true
	eachTest(path, condition, func(path string, test *surveyv1.ConditionTest) {
		fault := func(kind Kind, field string, text rpcerr.Text) {
			sound = false
			c.add(Fault{Kind: kind, Path: path + field, Question: owner, Text: text})
		}
		if test.GetCustomer() != 0 {
			c.factTest(test, fault)
			return
		}
		key := test.GetQuestionKey()
		question := c.question(key)
		switch {
		case question == nil:
			fault(Unknown, ".question_key", rpcerr.T("there is no question %[1]q to test; give the key of one of this questionnaire",
				"没有可供判断的问题 %[1]q；请填写本问卷中某个问题的键", key))
		case !before(key):
			fault(Later, ".question_key", rpcerr.T("%[1]q is not asked before in every order; test a question that is",
				"%[1]q 并非在任何顺序下都先于此处提问；请判断先提问的问题", key))
		default:
			c.answerTest(question, test, fault)
		}
	})
	if !sound {
		return false
	}
	for i, group := range condition.GetAnyOf() {
		if !c.feasible(group.GetAllOf()) {
			c.add(Fault{Kind: Contradictory, Path: fmt.Sprintf("%s.any_of[%d]", path, i), Question: owner, Text: rpcerr.T(
				"no answer meets all of %[1]s; correct or take out one of them", "没有答案能同时满足 %[1]s；请更正或去掉其一", describe(group.GetAllOf()))})
		}
	}
	return true
}

type faulter func(kind Kind, field string, text rpcerr.Text)

// factTest checks a test on the customer.
func (c *checker) factTest(test *surveyv1.ConditionTest, fault faulter) {
	values := slices.Concat(test.GetOneOf().GetValues(), test.GetNoneOf().GetValues())
	if test.GetWithin() != nil || test.GetBetween() != nil || test.GetRowKey() != "" {
		fault(WrongTest, "", rpcerr.T("a customer's field is tested by one_of, none_of or answered; use one of them",
			"客户字段只能用 one_of、none_of 或 answered 判断；请使用其一"))
		return
	}
	known := factValues(test.GetCustomer())
	for _, value := range values {
		if known != nil && !slices.Contains(known, value) {
			fault(ScaleMismatch, "", rpcerr.T("%[1]q is no value of that field; give some of %[2]s", "%[1]q 不是该字段的值；请从 %[2]s 中选择",
				value, strings.Join(known, ", ")))
		}
	}
}

// factValues are the values of a field, nil where they are open.
func factValues(field surveyv1.CustomerField) []string {
	var names map[int32]string
	switch field {
	case surveyv1.CustomerField_CUSTOMER_FIELD_TIER:
		names = typev1.Tier_name
	case surveyv1.CustomerField_CUSTOMER_FIELD_KIND:
		names = customerv1.CustomerKind_name
	case surveyv1.CustomerField_CUSTOMER_FIELD_LANGUAGE:
		return []string{rpcerr.Chinese, rpcerr.English}
	default:
		return nil
	}
	var out []string
	for number := int32(1); names[number] != ""; number++ {
		out = append(out, names[number])
	}
	return out
}

// answerTest checks that a test suits the type and the scale of its question.
func (c *checker) answerTest(question *surveyv1.Question, test *surveyv1.ConditionTest, fault faulter) {
	kind := question.GetType()
	if _, any := test.GetTest().(*surveyv1.ConditionTest_Answered); any {
		if test.GetRowKey() != "" {
			fault(WrongTest, ".row_key", rpcerr.T("whether a matrix is answered is not tested by row; leave the row out", "矩阵题是否作答不按行判断；请去掉行"))
		}
		return
	}
	if !c.rowOf(question, test, fault) {
		return
	}
	_, _, scored := Range(kind)
	var suits bool
	var use string
	switch test.GetTest().(type) {
	case *surveyv1.ConditionTest_OneOf, *surveyv1.ConditionTest_NoneOf:
		suits = hasChoices(kind)
	case *surveyv1.ConditionTest_Within:
		suits = scored || kind == kindMatrix || kind == kindNumber
	case *surveyv1.ConditionTest_Between:
		suits = kind == kindDate
	}
	switch {
	case hasChoices(kind):
		use = "one_of, none_of"
	case kind == kindDate:
		use = "between"
	case kind == kindText:
		use = "answered"
	default:
		use = "within"
	}
	if !suits {
		fault(WrongTest, "", rpcerr.T("%[1]q is a %[2]s, which this test does not suit; use %[3]s",
			"%[1]q 为 %[2]s，不适用该判断；请使用 %[3]s", question.GetKey(), typeWord(kind), use))
		return
	}
	c.valuesOf(question, test, fault)
}

// rowOf checks the row of a test; false where it is at fault.
func (c *checker) rowOf(question *surveyv1.Question, test *surveyv1.ConditionTest, fault faulter) bool {
	row := test.GetRowKey()
	known := slices.ContainsFunc(question.GetRows(), func(r *surveyv1.Choice) bool { return r.GetKey() == row })
	switch matrix := question.GetType() == kindMatrix; {
	case matrix && !known:
		fault(Unknown, ".row_key", rpcerr.T("the matrix %[1]q has no row %[2]q; give the key of one", "矩阵题 %[1]q 没有行 %[2]q；请填写已有行的键",
			question.GetKey(), row))
	case !matrix && row != "":
		fault(WrongTest, ".row_key", rpcerr.T("%[1]q is no matrix and has no rows; leave the row out", "%[1]q 不是矩阵题，没有行；请去掉行", question.GetKey()))
	default:
		return true
	}
	return false
}

// valuesOf checks that what a test compares with is on the scale of its question.
func (c *checker) valuesOf(question *surveyv1.Question, test *surveyv1.ConditionTest, fault faulter) {
	for _, value := range slices.Concat(test.GetOneOf().GetValues(), test.GetNoneOf().GetValues()) {
		if !slices.ContainsFunc(question.GetChoices(), func(choice *surveyv1.Choice) bool { return choice.GetKey() == value }) {
			fault(Unknown, "", rpcerr.T("%[1]q has no choice %[2]q; give the key of one", "%[1]q 没有选项 %[2]q；请填写已有选项的键", question.GetKey(), value))
		}
	}
	if between := test.GetBetween(); between != nil {
		for _, day := range []string{between.GetLeast(), between.GetGreatest()} {
			if day != "" && !isDay(day) {
				fault(WrongTest, ".between", rpcerr.T("%[1]q is no day; write one as 2026-11-26", "%[1]q 不是有效日期；请按 2026-11-26 的格式填写", day))
				return
			}
		}
		if between.GetLeast() == "" && between.GetGreatest() == "" {
			fault(WrongTest, ".between", rpcerr.T("it has neither a first nor a last day; give one", "既没有起始日也没有截止日；请至少填写一个"))
		}
	}
	within := test.GetWithin()
	if within == nil {
		return
	}
	if within.Least == nil && within.Greatest == nil {
		fault(WrongTest, ".within", rpcerr.T("it has neither a least nor a greatest value; give one", "既没有最小值也没有最大值；请至少填写一个"))
		return
	}
	least, greatest := scale(question)
	if off := within.Least != nil && within.GetLeast() > greatest || within.Greatest != nil && within.GetGreatest() < least; off {
		fault(ScaleMismatch, ".within", rpcerr.T("no value of %[1]q is in it: its scale is %[2]v to %[3]v; give a range on the scale",
			"%[1]q 的任何值都不在其中：其量表为 %[2]v 到 %[3]v；请填写量表内的范围", question.GetKey(), least, greatest))
	}
}

// scale is the least and the greatest number that a question takes.
func scale(question *surveyv1.Question) (least, greatest float64) {
	if question.GetType() == kindMatrix {
		return leastRow, greatestRow
	}
	if from, to, scored := Range(question.GetType()); scored {
		return float64(from), float64(to)
	}
	least, greatest = math.Inf(-1), math.Inf(1)
	if rule := question.GetNumberRule(); rule.GetLeast() != 0 || rule != nil && rule.Least != nil {
		least = rule.GetLeast()
	}
	if rule := question.GetNumberRule(); rule != nil && rule.Greatest != nil {
		greatest = rule.GetGreatest()
	}
	return least, greatest
}

// describe names what tests look at.
func describe(tests []*surveyv1.ConditionTest) string {
	var names []string
	for _, test := range tests {
		name := test.GetQuestionKey()
		if field := test.GetCustomer(); field != 0 {
			name = strings.ToLower(strings.TrimPrefix(field.String(), "CUSTOMER_FIELD_"))
		}
		if test.GetRowKey() != "" {
			name = RowKey(name, test.GetRowKey())
		}
		names = append(names, fmt.Sprintf("%s %s", name, testWord(test)))
	}
	return strings.Join(names, "; ")
}

func testWord(test *surveyv1.ConditionTest) string {
	switch want := test.GetTest().(type) {
	case *surveyv1.ConditionTest_Answered:
		return fmt.Sprintf("answered %v", want.Answered)
	case *surveyv1.ConditionTest_OneOf:
		return "one of " + strings.Join(want.OneOf.GetValues(), ", ")
	case *surveyv1.ConditionTest_NoneOf:
		return "none of " + strings.Join(want.NoneOf.GetValues(), ", ")
	case *surveyv1.ConditionTest_Within:
		least, greatest := "…", "…"
		if want.Within.Least != nil {
			least = fmt.Sprint(want.Within.GetLeast())
		}
		if want.Within.Greatest != nil {
			greatest = fmt.Sprint(want.Within.GetGreatest())
		}
		return "within " + least + " to " + greatest
	case *surveyv1.ConditionTest_Between:
		return "between " + want.Between.GetLeast() + " and " + want.Between.GetGreatest()
	}
	return "?"
}
