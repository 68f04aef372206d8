package cleaning

import (
	"slices"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// Filled is an answer that is to be flagged.
type Filled struct {
	// Version is what was asked.
	Version   *surveyv1.Questionnaire
	Responses []*surveyv1.Response
	// Took is from being asked to having answered; 0 where that is not known.
	Took time.Duration
	// Duplicate says that there is an earlier one within the time of the rules.
	Duplicate bool
}

// Flag applies the rules, which must be complete.
func Flag(rules *surveyv1.CleaningRules, f Filled) Flags {
	var out Flags
	for _, found := range []struct {
		bit  Flags
		here bool
	}{
		{Duplicate, rules.GetDuplicate() != nil && f.Duplicate},
		{TooFast, rules.GetTooFast() != nil && f.tooFast(rules.GetTooFast())},
		{StraightLining, rules.GetStraightLining() != nil && f.straight(int(rules.GetStraightLining().GetQuestions()))},
		{Contradictory, rules.GetContradictory() != nil && f.contradicts(rules.GetContradictory())},
		{Incomplete, rules.GetIncomplete() != nil && f.incomplete(rules.GetIncomplete().GetShare())},
	} {
		if found.here {
			out |= found.bit
		}
	}
	return out
}

func (f Filled) tooFast(rule *surveyv1.TooFastRule) bool {
	need := time.Duration(rule.GetSeconds()+rule.GetSecondsPerQuestion()*int32(len(f.Responses))) * time.Second
	return f.Took > 0 && f.Took < need
}

// straight looks at each type of scores by itself: a 5 of 5 beside a 5 of 10 is no line.
func (f Filled) straight(least int) bool {
	byType := map[surveyv1.QuestionType][]int32{}
	scores := questionnaire.FlatScores(f.Responses)
	for _, question := range questionnaire.Flat(f.Version) {
		if score, given := scores[question.GetKey()]; given {
			byType[question.GetType()] = append(byType[question.GetType()], score)
		}
	}
	for _, scores := range byType {
		if len(scores) >= least && slices.Max(scores) == slices.Min(scores) {
			return true
		}
	}
	return false
}

func (f Filled) response(key string) *surveyv1.Response {
	i := slices.IndexFunc(f.Responses, func(r *surveyv1.Response) bool { return r.GetQuestionKey() == key })
	if i < 0 {
		return nil
	}
	return f.Responses[i]
}

func (f Filled) score(key string) (int32, bool) {
	score, given := questionnaire.FlatScores(f.Responses)[key]
	return score, given
}

func (f Filled) contradicts(rule *surveyv1.ContradictoryRule) bool {
	for _, pair := range rule.GetPairs() {
		if f.holds(pair.GetFirst()) && f.holds(pair.GetSecond()) {
			return true
		}
	}
	rating, rated := f.first(surveyv1.QuestionType_QUESTION_TYPE_RATING)
	nps, recommended := f.first(surveyv1.QuestionType_QUESTION_TYPE_NPS)
	// A distance of exactly the gap counts, whatever binary fractions make of it.
	const rounding = 1e-9
	return rule.GetGap() > 0 && rated && recommended && max(rating-nps, nps-rating) >= rule.GetGap()-rounding
}

func (f Filled) holds(test *surveyv1.AnswerTest) bool {
	if score, given := f.score(test.GetQuestionKey()); given {
		return len(test.GetChoices()) == 0 && score >= test.GetLeast() && score <= test.GetGreatest()
	}
	choice := f.response(test.GetQuestionKey()).GetChoice()
	return choice != "" && slices.Contains(test.GetChoices(), choice)
}

// first is where on its scale, from 0 to 1, the first answered question of a type stands.
func (f Filled) first(kind surveyv1.QuestionType) (float64, bool) {
	least, greatest, _ := questionnaire.Range(kind)
	for _, question := range questionnaire.Flat(f.Version) {
		if score, given := f.score(question.GetKey()); given && question.GetType() == kind {
			return float64(score-least) / float64(greatest-least), true
		}
	}
	return 0, false
}

// incomplete counts what the customer was shown; what is shown to some customers only is not
// expected of anybody.
func (f Filled) incomplete(share float64) bool {
	var asked, answered int
	shown := questionnaire.Shown(f.Version, nil, questionnaire.ByQuestion(f.Responses))
	for _, question := range f.Version.GetQuestions() {
		if question.GetType() == surveyv1.QuestionType_QUESTION_TYPE_TEXT || !slices.Contains(shown, question.GetKey()) {
			continue
		}
		asked++
		if f.response(question.GetKey()) != nil {
			answered++
		}
	}
	return float64(answered) < share*float64(asked)
}
