package questionnaire

import (
	"fmt"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const minChoices = 2

// The days that a date may be unless its rule says otherwise.
const (
	firstDay = "1900-01-01"
	lastDay  = "2199-12-31"
)

const (
	kindSingle   = surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE
	kindMultiple = surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE
	kindRanking  = surveyv1.QuestionType_QUESTION_TYPE_RANKING
	kindMatrix   = surveyv1.QuestionType_QUESTION_TYPE_MATRIX
	kindNumber   = surveyv1.QuestionType_QUESTION_TYPE_NUMBER
	kindDate     = surveyv1.QuestionType_QUESTION_TYPE_DATE
	kindText     = surveyv1.QuestionType_QUESTION_TYPE_TEXT
)

func hasChoices(t surveyv1.QuestionType) bool {
	return t == kindSingle || t == kindMultiple || t == kindRanking
}

// shape checks that a question has what its type needs and nothing that it does not take.
func (c *checker) shape(i int, question *surveyv1.Question) {
	s := shaper{checker: c, path: fmt.Sprintf("questions[%d]", i), question: question}
	kind := question.GetType()
	_, _, scored := Range(kind)
	if hasChoices(kind) {
		s.options("choices", question.GetChoices(), minChoices)
	} else {
		s.misplaced("choices", len(question.GetChoices()) > 0, "choices", "选项")
	}
	if kind == kindMatrix {
		s.options("rows", question.GetRows(), 1)
	} else {
		s.misplaced("rows", len(question.GetRows()) > 0, "rows", "行")
	}
	s.misplaced("number_rule", kind != kindNumber && question.GetNumberRule() != nil, "number rule", "数字规则")
	s.misplaced("date_rule", kind != kindDate && question.GetDateRule() != nil, "date rule", "日期规则")
	s.misplaced("text_rule", kind != kindText && question.GetTextRule() != nil, "text rule", "文本规则")
	s.misplaced("choice_rule", kind != kindMultiple && kind != kindRanking && question.GetChoiceRule() != nil, "choice rule", "选项规则")
	s.misplaced("random_order", !hasChoices(kind) && kind != kindMatrix && question.GetRandomOrder(), "random order", "随机顺序")
	labels := question.GetLowLabel() != nil || question.GetHighLabel() != nil
	s.misplaced("low_label", !scored && kind != kindMatrix && labels, "labels of a scale", "量表标签")
	s.rules()
}

type shaper struct {
	*checker
	path     string
	question *surveyv1.Question
}

func (s shaper) fault(kind Kind, path string, text rpcerr.Text) {
	s.add(Fault{Kind: kind, Path: s.path + "." + path, Question: s.question.GetKey(), Text: text})
}

func (s shaper) misplaced(path string, there bool, en, zh string) {
	if there {
		s.fault(Misplaced, path, rpcerr.T("the question %[1]q is a %[2]s and takes no %[3]s; take it out or change the type",
			"问题 %[1]q 为 %[2]s，不能有%[4]s；请去掉或更改题型", s.question.GetKey(), typeWord(s.question.GetType()), en, zh))
	}
}

// options checks choices, or the rows of a matrix.
func (s shaper) options(name string, options []*surveyv1.Choice, least int) {
	if len(options) < least {
		s.fault(Incomplete, name, rpcerr.T("the %[1]s question %[2]q has %[3]d %[4]s; give at least %[5]d",
			"%[1]s题 %[2]q 有 %[3]d 个 %[4]s；请至少提供 %[5]d 个", typeWord(s.question.GetType()), s.question.GetKey(), len(options), name, least))
	}
	first := make(map[string]int, len(options))
	for j, option := range options {
		path := fmt.Sprintf("%s[%d]", name, j)
		if before, taken := first[option.GetKey()]; taken {
			s.fault(Duplicate, path+".key", rpcerr.T("the key %[1]q is that of number %[2]d too; give each its own",
				"键 %[1]q 已用于第 %[2]d 项；每项请使用不同的键", option.GetKey(), before+1))
			continue
		}
		first[option.GetKey()] = j
		if option.GetExclusive() && s.question.GetType() != kindMultiple {
			s.fault(Misplaced, path+".exclusive", rpcerr.T("only a choice of a multiple choice can be exclusive; take it out",
				"只有多选题的选项可以设为互斥；请去掉"))
		}
		if option.GetAspect() != "" && s.question.GetType() != kindMatrix {
			s.fault(Misplaced, path+".aspect", rpcerr.T("a choice measures no aspect; name it at the question",
				"选项不对应维度；请在问题上设置"))
		}
	}
}

// rules checks that some answer fits the question's rule.
func (s shaper) rules() {
	none := func(path string, least, greatest any) {
		s.fault(Contradictory, path, rpcerr.T("nothing is at least %[1]v and at most %[2]v, so %[3]q cannot be answered; correct one of them",
			"没有既不小于 %[1]v 又不大于 %[2]v 的值，因此无法回答 %[3]q；请更正其一", least, greatest, s.question.GetKey()))
	}
	if rule := s.question.GetNumberRule(); rule != nil && rule.Least != nil && rule.Greatest != nil && rule.GetLeast() > rule.GetGreatest() {
		none("number_rule", rule.GetLeast(), rule.GetGreatest())
	}
	if rule := s.question.GetTextRule(); rule != nil && rule.GetLeast() > longest(rule) {
		none("text_rule", rule.GetLeast(), longest(rule))
	}
	if rule := s.question.GetDateRule(); rule != nil && s.days("date_rule", rule) {
		if least, greatest := days(rule); least > greatest {
			none("date_rule", least, greatest)
		}
	}
	if s.question.GetChoiceRule() != nil && hasChoices(s.question.GetType()) {
		s.choiceRule(none)
	}
}

func (s shaper) choiceRule(none func(path string, least, greatest any)) {
	rule, n := s.question.GetChoiceRule(), int32(len(s.question.GetChoices()))
	if limit := max(rule.GetLeast(), rule.GetGreatest()); limit > n {
		s.fault(Contradictory, "choice_rule", rpcerr.T("it names %[1]d choices, and %[2]q has %[3]d; give at most as many",
			"规则为 %[1]d 个选项，而 %[2]q 只有 %[3]d 个；请不要超过选项数", limit, s.question.GetKey(), n))
		return
	}
	if greatest := rule.GetGreatest(); greatest > 0 && rule.GetLeast() > greatest {
		none("choice_rule", rule.GetLeast(), greatest)
	}
	if s.question.GetType() == kindRanking && rule.GetLeast() != 0 && rule.GetLeast() != most(s.question) {
		s.fault(Misplaced, "choice_rule.least", rpcerr.T("a ranking has as many places as `greatest` says; leave `least` out",
			"排序题的名次数由 greatest 决定；请不要填写 least"))
	}
}

// days checks that the ends of a range are days at all.
func (s shaper) days(path string, rule *surveyv1.DateRule) bool {
	fine := true
	for _, end := range []struct{ name, day string }{{"least", rule.GetLeast()}, {"greatest", rule.GetGreatest()}} {
		if end.day != "" && !isDay(end.day) {
			fine = false
			s.fault(Incomplete, path+"."+end.name, rpcerr.T("%[1]q is no day; write one as 2026-11-26", "%[1]q 不是有效日期；请按 2026-11-26 的格式填写", end.day))
		}
	}
	return fine
}

func isDay(day string) bool {
	_, err := time.Parse(time.DateOnly, day)
	return err == nil && len(day) == len(time.DateOnly)
}

// days are the first and the last day that a rule takes.
func days(rule *surveyv1.DateRule) (least, greatest string) {
	least, greatest = rule.GetLeast(), rule.GetGreatest()
	if least == "" {
		least = firstDay
	}
	if greatest == "" {
		greatest = lastDay
	}
	return least, greatest
}

// longest is the number of characters that a rule allows.
func longest(rule *surveyv1.TextRule) int32 {
	if rule.GetGreatest() == 0 {
		return maxAnswerText
	}
	return rule.GetGreatest()
}

// most is how many choices a question takes; of a ranking it is how many places there are.
func most(question *surveyv1.Question) int32 {
	if greatest := question.GetChoiceRule().GetGreatest(); greatest > 0 {
		return greatest
	}
	return int32(len(question.GetChoices()))
}
