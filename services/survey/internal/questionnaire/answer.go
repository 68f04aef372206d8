package questionnaire

import (
	"fmt"
	"strings"
	"unicode/utf8"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const maxAnswerText = 5000

// Range gives the least and the greatest score of a type; false for types without scores.
func Range(t surveyv1.QuestionType) (least, greatest int32, scored bool) {
	switch t {
	case surveyv1.QuestionType_QUESTION_TYPE_RATING:
		return 1, 5, true
	case surveyv1.QuestionType_QUESTION_TYPE_NPS:
		return 0, 10, true
	case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
		return 1, 7, true
	}
	return 0, 0, false
}

// CheckAnswer finds every response that does not fit the published version q, and every
// required question without one.
func CheckAnswer(q *surveyv1.Questionnaire, responses []*surveyv1.Response) []Fault {
	questions := make(map[string]*surveyv1.Question, len(q.GetQuestions()))
	for _, question := range q.GetQuestions() {
		questions[question.GetKey()] = question
	}
	var faults []Fault
	first := make(map[string]int, len(responses))
	for i, response := range responses {
		key, path := response.GetQuestionKey(), fmt.Sprintf("responses[%d]", i)
		question, known := questions[key]
		before, twice := first[key]
		switch {
		case !known:
			faults = append(faults, Fault{Path: path + ".question_key", Question: key, Text: rpcerr.T(
				"there is no question %[1]q in this version; use the keys of its questions",
				"该版本没有问题 %[1]q；请使用其问题的键", key)})
		case twice:
			faults = append(faults, Fault{Path: path + ".question_key", Question: key, Text: rpcerr.T(
				"the question %[1]q is already answered by response %[2]d; answer it once",
				"问题 %[1]q 已由第 %[2]d 条回答作答；每题只能回答一次", key, before+1)})
		default:
			if field, text := checkValue(question, response); field != "" {
				faults = append(faults, Fault{Path: path + "." + field, Question: key, Text: text})
			}
		}
		if !twice {
			first[key] = i
		}
	}
	for _, question := range q.GetQuestions() {
		if _, answered := first[question.GetKey()]; question.GetRequired() && !answered {
			faults = append(faults, Fault{Path: "responses", Question: question.GetKey(), Text: rpcerr.T(
				"the question %[1]q is required and not answered; answer it",
				"问题 %[1]q 为必答题，但未作答；请作答", question.GetKey())})
		}
	}
	return faults
}

// checkValue names the field at fault, or nothing when the value fits the question.
func checkValue(question *surveyv1.Question, response *surveyv1.Response) (string, rpcerr.Text) {
	key := question.GetKey()
	want := kindOf(question.GetType())
	given := "value"
	switch value := response.GetValue().(type) {
	case *surveyv1.Response_Score:
		given = "score"
		if want == given {
			return checkScore(question, value.Score)
		}
	case *surveyv1.Response_Choice:
		given = "choice"
		if want == given {
			return checkChoice(question, value.Choice)
		}
	case *surveyv1.Response_Text:
		given = "text"
		if want == given {
			return checkAnswerText(key, value.Text)
		}
	default:
		return want, rpcerr.T("the response to %[1]q has no value; give a %[2]s or leave the response out",
			"对 %[1]q 的回答没有值；请填写 %[2]s，或不提交该回答", key, want)
	}
	return given, rpcerr.T("the question %[1]q takes a %[2]s, not a %[3]s; give a %[2]s",
		"问题 %[1]q 需要 %[2]s，而不是 %[3]s；请填写 %[2]s", key, want, given)
}

func kindOf(t surveyv1.QuestionType) string {
	if _, _, scored := Range(t); scored {
		return "score"
	}
	if t == surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE {
		return "choice"
	}
	return "text"
}

func checkScore(question *surveyv1.Question, score int32) (string, rpcerr.Text) {
	least, greatest, _ := Range(question.GetType())
	if score >= least && score <= greatest {
		return "", rpcerr.Text{}
	}
	return "score", rpcerr.T("the score of %[1]q is %[2]d; give one from %[3]d to %[4]d",
		"%[1]q 的评分为 %[2]d；请在 %[3]d 到 %[4]d 之间选择", question.GetKey(), score, least, greatest)
}

func checkChoice(question *surveyv1.Question, choice string) (string, rpcerr.Text) {
	keys := make([]string, 0, len(question.GetChoices()))
	for _, c := range question.GetChoices() {
		if c.GetKey() == choice {
			return "", rpcerr.Text{}
		}
		keys = append(keys, c.GetKey())
	}
	return "choice", rpcerr.T("%[2]q is no choice of %[1]q; choose one of %[3]s",
		"%[2]q 不是 %[1]q 的选项；请选择以下之一：%[3]s", question.GetKey(), choice, strings.Join(keys, ", "))
}

func checkAnswerText(key, text string) (string, rpcerr.Text) {
	switch n := utf8.RuneCountInString(text); {
	case n > maxAnswerText:
		return "text", rpcerr.T("the text of %[1]q has %[2]d characters; use at most %[3]d",
			"%[1]q 的文本共 %[2]d 个字符；最多 %[3]d 个", key, n, maxAnswerText)
	case empty(text):
		return "text", rpcerr.T("the text of %[1]q is empty; write something or leave the response out",
			"%[1]q 的文本为空；请填写，或不提交该回答", key)
	case strings.ContainsRune(text, 0):
		return "text", nulText()
	}
	return "", rpcerr.Text{}
}

// Thresholds say from where on down a score is low.
type Thresholds struct{ Rating, NPS int32 }

// Score is what an answer says in short.
type Score struct {
	// First is the rating of the first rating question answered, 0 when none was.
	First int32
	// Low says that a rating or an NPS score is low; then LowQuestion is the question with
	// the lowest rating or, when no rating is low, with the lowest NPS score, the earlier
	// one of equals, and LowScore its score.
	Low         bool
	LowQuestion string
	LowScore    int32
}

// Score scores responses that fit the version q.
func (t Thresholds) Score(q *surveyv1.Questionnaire, responses []*surveyv1.Response) Score {
	scores := make(map[string]int32, len(responses))
	for _, response := range responses {
		if value, ok := response.GetValue().(*surveyv1.Response_Score); ok {
			scores[response.GetQuestionKey()] = value.Score
		}
	}
	out := Score{First: firstRating(q, scores)}
	for _, c := range []struct {
		kind  surveyv1.QuestionType
		limit int32
	}{
		{surveyv1.QuestionType_QUESTION_TYPE_RATING, t.Rating},
		{surveyv1.QuestionType_QUESTION_TYPE_NPS, t.NPS},
	} {
		key, score, any := lowest(q, scores, c.kind)
		if any && score <= c.limit {
			out.Low, out.LowQuestion, out.LowScore = true, key, score
			return out
		}
	}
	return out
}

func firstRating(q *surveyv1.Questionnaire, scores map[string]int32) int32 {
	for _, question := range q.GetQuestions() {
		if question.GetType() != surveyv1.QuestionType_QUESTION_TYPE_RATING {
			continue
		}
		if score, answered := scores[question.GetKey()]; answered {
			return score
		}
	}
	return 0
}

func lowest(q *surveyv1.Questionnaire, scores map[string]int32, kind surveyv1.QuestionType) (key string, least int32, found bool) {
	for _, question := range q.GetQuestions() {
		score, answered := scores[question.GetKey()]
		if question.GetType() == kind && answered && (!found || score < least) {
			key, least, found = question.GetKey(), score, true
		}
	}
	return key, least, found
}
