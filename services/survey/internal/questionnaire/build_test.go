package questionnaire_test

import (
	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// rows makes a matrix.
func rows(key string, keys ...string) *surveyv1.Question {
	q := question(key, matrix)
	for _, k := range keys {
		q.Rows = append(q.Rows, &surveyv1.Choice{Key: k, Text: both(k)})
	}
	return q
}

// when is shown under a condition.
func when(q *surveyv1.Question, groups ...[]*surveyv1.ConditionTest) *surveyv1.Question {
	q.ShowIf = condition(groups...)
	return q
}

func condition(groups ...[]*surveyv1.ConditionTest) *surveyv1.Condition {
	c := new(surveyv1.Condition)
	for _, g := range groups {
		c.AnyOf = append(c.AnyOf, &surveyv1.ConditionGroup{AllOf: g})
	}
	return c
}

func all(tests ...*surveyv1.ConditionTest) []*surveyv1.ConditionTest { return tests }

func on(key string) *surveyv1.ConditionTest {
	return &surveyv1.ConditionTest{Subject: &surveyv1.ConditionTest_QuestionKey{QuestionKey: key}}
}

func answered(key string, is bool) *surveyv1.ConditionTest {
	t := on(key)
	t.Test = &surveyv1.ConditionTest_Answered{Answered: is}
	return t
}

func oneOf(key string, values ...string) *surveyv1.ConditionTest {
	t := on(key)
	t.Test = &surveyv1.ConditionTest_OneOf{OneOf: &surveyv1.ValueSet{Values: values}}
	return t
}

func noneOf(key string, values ...string) *surveyv1.ConditionTest {
	t := on(key)
	t.Test = &surveyv1.ConditionTest_NoneOf{NoneOf: &surveyv1.ValueSet{Values: values}}
	return t
}

func within(key string, least, greatest float64) *surveyv1.ConditionTest {
	t := on(key)
	t.Test = &surveyv1.ConditionTest_Within{Within: &surveyv1.NumberRange{Least: proto.Float64(least), Greatest: proto.Float64(greatest)}}
	return t
}

func rowWithin(key, row string, least, greatest float64) *surveyv1.ConditionTest {
	t := within(key, least, greatest)
	t.RowKey = row
	return t
}

func between(key, least, greatest string) *surveyv1.ConditionTest {
	t := on(key)
	t.Test = &surveyv1.ConditionTest_Between{Between: &surveyv1.DateRule{Least: least, Greatest: greatest}}
	return t
}

// of the customer.
func tier(values ...string) *surveyv1.ConditionTest {
	t := oneOf("", values...)
	t.Subject = &surveyv1.ConditionTest_Customer{Customer: surveyv1.CustomerField_CUSTOMER_FIELD_TIER}
	return t
}

func region(test *surveyv1.ConditionTest) *surveyv1.ConditionTest {
	test.Subject = &surveyv1.ConditionTest_Customer{Customer: surveyv1.CustomerField_CUSTOMER_FIELD_REGION}
	return test
}

func picks(key string, keys ...string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Choices{Choices: &surveyv1.ChoiceList{Keys: keys}}}
}

func ranking(key string, keys ...string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Ranking{Ranking: &surveyv1.ChoiceList{Keys: keys}}}
}

func number(key string, n float64) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Number{Number: n}}
}

func day(key, d string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Date{Date: d}}
}

func cell(row string, n int32) *surveyv1.RowScore { return &surveyv1.RowScore{RowKey: row, Score: n} }

func cells(key string, scores ...*surveyv1.RowScore) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Rows{Rows: &surveyv1.RowScores{Scores: scores}}}
}
