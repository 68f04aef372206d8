// Package cleaning holds the rules by which answers are flagged and their texts coded to topics.
package cleaning

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// Flags are those of one answer, a bit each.
type Flags int16

// The bits.
const (
	Duplicate Flags = 1 << iota
	TooFast
	StraightLining
	Contradictory
	Incomplete
)

// all pairs the bits with the API's names, in its order.
var all = []struct {
	bit  Flags
	name surveyv1.AnswerFlag
}{
	{Duplicate, surveyv1.AnswerFlag_ANSWER_FLAG_DUPLICATE},
	{TooFast, surveyv1.AnswerFlag_ANSWER_FLAG_TOO_FAST},
	{StraightLining, surveyv1.AnswerFlag_ANSWER_FLAG_STRAIGHT_LINING},
	{Contradictory, surveyv1.AnswerFlag_ANSWER_FLAG_CONTRADICTORY},
	{Incomplete, surveyv1.AnswerFlag_ANSWER_FLAG_INCOMPLETE},
}

// Names lists the flags.
func (f Flags) Names() []surveyv1.AnswerFlag {
	var out []surveyv1.AnswerFlag
	for _, flag := range all {
		if f&flag.bit != 0 {
			out = append(out, flag.name)
		}
	}
	return out
}

// Tally counts answers by flag.
type Tally [5]int64

// Add counts n answers with these flags.
func (t *Tally) Add(f Flags, n int64) {
	for i, flag := range all {
		if f&flag.bit != 0 {
			t[i] += n
		}
	}
}

// Counts lists each kind of flag.
func (t *Tally) Counts() []*surveyv1.FlagCount {
	out := make([]*surveyv1.FlagCount, len(all))
	for i, flag := range all {
		out[i] = &surveyv1.FlagCount{Flag: flag.name, Count: t[i]}
	}
	return out
}

// Default are the rules of a questionnaire that has none of its own.
func Default() *surveyv1.CleaningRules {
	return Complete(&surveyv1.CleaningRules{
		Duplicate:      &surveyv1.DuplicateRule{Excludes: true},
		TooFast:        &surveyv1.TooFastRule{Excludes: true},
		StraightLining: &surveyv1.StraightLiningRule{},
		Contradictory:  &surveyv1.ContradictoryRule{Gap: 0.75},
		Incomplete:     &surveyv1.IncompleteRule{Excludes: true},
	})
}

// Complete fills in what is not given.
func Complete(rules *surveyv1.CleaningRules) *surveyv1.CleaningRules {
	out := proto.CloneOf(rules)
	if r := out.GetDuplicate(); r != nil && r.WithinDays == 0 {
		r.WithinDays = 30
	}
	if r := out.GetTooFast(); r != nil && r.SecondsPerQuestion == 0 && r.Seconds == 0 {
		r.SecondsPerQuestion = 2
	}
	if r := out.GetStraightLining(); r != nil && r.Questions == 0 {
		r.Questions = 5
	}
	if r := out.GetIncomplete(); r != nil && r.Share == 0 {
		r.Share = 0.5
	}
	return out
}

// Excluding are the flags that exclude an answer.
func Excluding(rules *surveyv1.CleaningRules) Flags {
	var out Flags
	for bit, excludes := range map[Flags]bool{
		Duplicate: rules.GetDuplicate().GetExcludes(), TooFast: rules.GetTooFast().GetExcludes(),
		StraightLining: rules.GetStraightLining().GetExcludes(), Contradictory: rules.GetContradictory().GetExcludes(),
		Incomplete: rules.GetIncomplete().GetExcludes(),
	} {
		if excludes {
			out |= bit
		}
	}
	return out
}

// Check finds what in the rules does not fit the published version q.
func Check(rules *surveyv1.CleaningRules, q *surveyv1.Questionnaire) []questionnaire.Fault {
	var faults []questionnaire.Fault
	if n := rules.GetStraightLining().GetQuestions(); n == 1 {
		faults = append(faults, questionnaire.Fault{Path: "straight_lining.questions", Text: rpcerr.T(
			"it is 1, and one score is no line; give 2 or more", "为 1，而一个评分不构成直线作答；请填写不小于 2 的值")})
	}
	for i, pair := range rules.GetContradictory().GetPairs() {
		path := fmt.Sprintf("contradictory.pairs[%d]", i)
		faults = append(faults, checkTest(path+".first", pair.GetFirst(), q)...)
		faults = append(faults, checkTest(path+".second", pair.GetSecond(), q)...)
		if pair.GetFirst().GetQuestionKey() == pair.GetSecond().GetQuestionKey() {
			faults = append(faults, questionnaire.Fault{Path: path + ".second.question_key", Question: pair.GetSecond().GetQuestionKey(),
				Text: rpcerr.T("both tests are of %[1]q; name two questions", "两个条件都针对 %[1]q；请指定两个问题", pair.GetSecond().GetQuestionKey())})
		}
	}
	return faults
}

func checkTest(path string, test *surveyv1.AnswerTest, q *surveyv1.Questionnaire) []questionnaire.Fault {
	key := test.GetQuestionKey()
	fault := func(field string, text rpcerr.Text) []questionnaire.Fault {
		return []questionnaire.Fault{{Path: path + "." + field, Question: key, Text: text}}
	}
	for _, question := range q.GetQuestions() {
		if question.GetKey() != key {
			continue
		}
		if least, greatest, scored := questionnaire.Range(question.GetType()); scored {
			switch {
			case len(test.GetChoices()) > 0:
				return fault("choices", rpcerr.T("%[1]q is answered with scores; give least and greatest", "%[1]q 以评分作答；请填写 least 和 greatest", key))
			case test.GetLeast() < least || test.GetGreatest() > greatest || test.GetLeast() > test.GetGreatest():
				return fault("least", rpcerr.T("scores of %[1]q go from %[2]d to %[3]d, and %[4]d to %[5]d is no part of that; give one",
					"%[1]q 的评分范围为 %[2]d 到 %[3]d，%[4]d 到 %[5]d 不在其中；请填写其中的范围", key, least, greatest, test.GetLeast(), test.GetGreatest()))
			}
			return nil
		}
		return checkChoices(test, question, fault)
	}
	return fault("question_key", rpcerr.T("there is no question %[1]q in the last version; use the keys of its questions",
		"最近发布的版本没有问题 %[1]q；请使用其问题的键", key))
}

func checkChoices(test *surveyv1.AnswerTest, question *surveyv1.Question, fault func(string, rpcerr.Text) []questionnaire.Fault) []questionnaire.Fault {
	key := question.GetKey()
	if question.GetType() != surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE {
		return fault("question_key", rpcerr.T("%[1]q is neither answered with scores nor a single choice; name such a question",
			"%[1]q 既不以评分作答，也不是单选题；请指定此类问题", key))
	}
	offered := map[string]bool{}
	for _, choice := range question.GetChoices() {
		offered[choice.GetKey()] = true
	}
	if len(test.GetChoices()) == 0 {
		return fault("choices", rpcerr.T("%[1]q is a single choice; give some of its choices", "%[1]q 是单选题；请填写其选项", key))
	}
	for _, choice := range test.GetChoices() {
		if !offered[choice] {
			return fault("choices", rpcerr.T("%[2]q is no choice of %[1]q; use the keys of its choices", "%[2]q 不是 %[1]q 的选项；请使用其选项的键", key, choice))
		}
	}
	return nil
}
