package questionnaire

import (
	"fmt"
	"slices"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const maxAnswerText = 5000

// The scale of a matrix's rows.
const (
	leastRow    = 1
	greatestRow = 5
)

// Range gives the least and the greatest score of a type; false for types that are not answered
// with one score.
func Range(t surveyv1.QuestionType) (least, greatest int32, scored bool) {
	switch t {
	case surveyv1.QuestionType_QUESTION_TYPE_RATING:
		return leastRow, greatestRow, true
	case surveyv1.QuestionType_QUESTION_TYPE_NPS:
		return 0, 10, true
	case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
		return 1, 7, true
	}
	return 0, 0, false
}

// CheckAnswer finds what keeps responses from being an answer to the published version q by a
// customer of whom the facts are known: a response that does not fit or that answers a question
// which is not shown, and a required question that is shown and lacks one.
func CheckAnswer(q *surveyv1.Questionnaire, facts Facts, responses []*surveyv1.Response) []Fault {
	faults := CheckResponses(q, responses)
	if len(faults) > 0 {
		// What is shown cannot be told by answers that make no sense; what lacks can be.
		return append(faults, Missing(q, Shown(q, facts, ByQuestion(responses)), ByQuestion(responses))...)
	}
	given := ByQuestion(responses)
	shown := Shown(q, facts, given)
	for i, response := range responses {
		if key := response.GetQuestionKey(); !slices.Contains(shown, key) {
			faults = append(faults, Fault{Path: fmt.Sprintf("responses[%d].question_key", i), Question: key, Text: rpcerr.T(
				"the question %[1]q is not shown with the other responses; leave its response out",
				"在其他回答的条件下不显示问题 %[1]q；请不要提交其回答", key)})
		}
	}
	return append(faults, Missing(q, shown, given)...)
}

// CheckResponses finds every response that does not fit the published version q by itself.
func CheckResponses(q *surveyv1.Questionnaire, responses []*surveyv1.Response) []Fault {
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
			faults = append(faults, Fault{Path: path + ".question_key", Question: key, Text: unknownQuestion(key)})
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
	return faults
}

func unknownQuestion(key string) rpcerr.Text {
	return rpcerr.T("there is no question %[1]q in this version; use the keys of its questions",
		"该版本没有问题 %[1]q；请使用其问题的键", key)
}

// CheckCleared finds the keys that cannot be cleared: of no question, or answered at once.
func CheckCleared(q *surveyv1.Questionnaire, responses []*surveyv1.Response, cleared []string) []Fault {
	given := ByQuestion(responses)
	var faults []Fault
	for i, key := range cleared {
		path := fmt.Sprintf("cleared_questions[%d]", i)
		switch known := slices.ContainsFunc(q.GetQuestions(), func(question *surveyv1.Question) bool { return question.GetKey() == key }); {
		case !known:
			faults = append(faults, Fault{Path: path, Question: key, Text: unknownQuestion(key)})
		case given[key] != nil:
			faults = append(faults, Fault{Path: path, Question: key, Text: rpcerr.T(
				"the question %[1]q is answered and cleared at once; do one of them", "问题 %[1]q 同时被作答和清除；请只选其一", key)})
		}
	}
	return faults
}

// Missing finds the required questions among the shown ones that are not answered in full.
func Missing(q *surveyv1.Questionnaire, shown []string, given Answers) []Fault {
	var faults []Fault
	for _, question := range q.GetQuestions() {
		key := question.GetKey()
		if !question.GetRequired() || !slices.Contains(shown, key) {
			continue
		}
		fault := Fault{Path: "responses", Question: key}
		switch response := given[key]; {
		case response == nil:
			fault.Text = rpcerr.T("the question %[1]q is required and not answered; answer it",
				"问题 %[1]q 为必答题，但未作答；请作答", key)
		case question.GetType() == kindMatrix && len(response.GetRows().GetScores()) < len(question.GetRows()):
			fault.Text = rpcerr.T("the question %[1]q is required and %[2]d of its %[3]d rows are rated; rate all of them",
				"问题 %[1]q 为必答题，其 %[3]d 行中只评了 %[2]d 行；请全部评分", key, len(response.GetRows().GetScores()), len(question.GetRows()))
		case question.GetType() == kindRanking && len(response.GetRanking().GetKeys()) < int(most(question)):
			fault.Text = rpcerr.T("the question %[1]q is required and %[2]d of %[3]d places are given; give all of them",
				"问题 %[1]q 为必答题，%[3]d 个名次中只填了 %[2]d 个；请全部填写", key, len(response.GetRanking().GetKeys()), most(question))
		default:
			continue
		}
		faults = append(faults, fault)
	}
	return faults
}

// Thresholds say from where on down a score is low.
type Thresholds struct{ Rating, NPS int32 }

// Score is what an answer says in short.
type Score struct {
	// First is the rating of the first rating question, or row of a matrix, answered, 0 when none
	// was.
	First int32
	// Low says that a rating or an NPS score is low; then LowQuestion is the question with
	// the lowest rating or, when no rating is low, with the lowest NPS score, the earlier
	// one of equals, and LowScore its score. A row of a matrix is `question.row`.
	Low         bool
	LowQuestion string
	LowScore    int32
}

// Score scores responses that fit the version q.
func (t Thresholds) Score(q *surveyv1.Questionnaire, responses []*surveyv1.Response) Score {
	questions, scores := Flat(q), FlatScores(responses)
	out := Score{First: firstRating(questions, scores)}
	for _, c := range []struct {
		kind  surveyv1.QuestionType
		limit int32
	}{
		{surveyv1.QuestionType_QUESTION_TYPE_RATING, t.Rating},
		{surveyv1.QuestionType_QUESTION_TYPE_NPS, t.NPS},
	} {
		key, score, any := lowest(questions, scores, c.kind)
		if any && score <= c.limit {
			out.Low, out.LowQuestion, out.LowScore = true, key, score
			return out
		}
	}
	return out
}

func firstRating(questions []*surveyv1.Question, scores map[string]int32) int32 {
	for _, question := range questions {
		if question.GetType() != surveyv1.QuestionType_QUESTION_TYPE_RATING {
			continue
		}
		if score, answered := scores[question.GetKey()]; answered {
			return score
		}
	}
	return 0
}

func lowest(questions []*surveyv1.Question, scores map[string]int32, kind surveyv1.QuestionType) (key string, least int32, found bool) {
	for _, question := range questions {
		score, answered := scores[question.GetKey()]
		if question.GetType() == kind && answered && (!found || score < least) {
			key, least, found = question.GetKey(), score, true
		}
	}
	return key, least, found
}
