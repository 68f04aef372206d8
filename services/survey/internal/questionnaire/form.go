package questionnaire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// Form is a version as one customer is shown it: in the order that the seed draws, without what
// the customer is never shown, without tests on the customer, and with every text in both
// languages. It makes a copy. What is shown of the form does not differ from what is shown of
// the version.
func Form(version *surveyv1.Questionnaire, facts Facts, seed int64) *surveyv1.Questionnaire {
	form := proto.CloneOf(version)
	form.Trigger, form.Etag = 0, ""
	settle(form, facts)
	order(form, seed)
	fillTexts(form)
	return form
}

// settle decides what depends on the customer alone. Tests on questions that are left out stay:
// such a question has no answer.
func settle(form *surveyv1.Questionnaire, facts Facts) {
	possible := map[string]bool{"": true}
	form.Sections = slices.DeleteFunc(form.GetSections(), func(section *surveyv1.Section) bool {
		section.ShowIf, possible[section.GetKey()] = settled(section.GetShowIf(), facts)
		return !possible[section.GetKey()]
	})
	form.Questions = slices.DeleteFunc(form.GetQuestions(), func(question *surveyv1.Question) bool {
		condition, ever := settled(question.GetShowIf(), facts)
		question.ShowIf = condition
		return !ever || !possible[question.GetSectionKey()]
	})
}

// settled takes the tests on the customer out of a condition; false where it cannot be met.
func settled(c *surveyv1.Condition, facts Facts) (*surveyv1.Condition, bool) {
	if c == nil {
		return nil, true
	}
	left := new(surveyv1.Condition)
	for _, group := range c.GetAnyOf() {
		var open []*surveyv1.ConditionTest
		met := true
		for _, test := range group.GetAllOf() {
			if field := test.GetCustomer(); field == 0 {
				open = append(open, test)
			} else if !passesFact(test, facts[field]) {
				met = false
				break
			}
		}
		if met && len(open) == 0 {
			return nil, true
		}
		if met {
			left.AnyOf = append(left.AnyOf, &surveyv1.ConditionGroup{AllOf: open})
		}
	}
	return left, len(left.GetAnyOf()) > 0
}

// order puts what stands in random order into the order of the seed.
func order(form *surveyv1.Questionnaire, seed int64) {
	random := map[string]bool{"": form.GetRandomOrder() && len(form.GetSections()) == 0}
	for _, section := range form.GetSections() {
		random[section.GetKey()] = section.GetRandomOrder()
	}
	questions := form.GetQuestions()
	for start := 0; start < len(questions); {
		section, end := questions[start].GetSectionKey(), start+1
		for end < len(questions) && questions[end].GetSectionKey() == section {
			end++
		}
		if random[section] {
			draw(seed, section, questions[start:end], (*surveyv1.Question).GetKey, func(*surveyv1.Question) bool { return false })
		}
		start = end
	}
	for _, question := range questions {
		if question.GetRandomOrder() {
			draw(seed, question.GetKey(), question.GetChoices(), (*surveyv1.Choice).GetKey, (*surveyv1.Choice).GetFixed)
			draw(seed, question.GetKey(), question.GetRows(), (*surveyv1.Choice).GetKey, (*surveyv1.Choice).GetFixed)
		}
	}
}

// draw orders things by a hash of seed and key, so that an order depends on no library's way to
// shuffle and outlives releases. Fixed ones keep their places.
func draw[T any](seed int64, scope string, things []T, key func(T) string, fixed func(T) bool) {
	weight := func(thing T) []byte {
		sum := sha256.New()
		_ = binary.Write(sum, binary.BigEndian, seed) // to a hash never fails
		sum.Write([]byte(scope + "\x00" + key(thing)))
		return sum.Sum(nil)
	}
	var free []T
	for _, thing := range things {
		if !fixed(thing) {
			free = append(free, thing)
		}
	}
	slices.SortFunc(free, func(a, b T) int { return bytes.Compare(weight(a), weight(b)) })
	for i, next := 0, 0; i < len(things); i++ {
		if !fixed(things[i]) {
			things[i], next = free[next], next+1
		}
	}
}

// fillTexts gives a text that lacks a language the other one.
func fillTexts(form *surveyv1.Questionnaire) {
	eachText(form, func(t textAt) { Fill(t.text) })
}

// Fill gives a text that lacks a language the other one.
func Fill(text *typev1.Text) {
	switch {
	case text == nil:
	case empty(text.GetZh()):
		text.Zh = text.GetEn()
	case empty(text.GetEn()):
		text.En = text.GetZh()
	}
}

// RowKey is the key of a matrix's row as a question of its own. Keys hold no point.
func RowKey(question, row string) string { return question + "." + row }

// CutRow parts such a key; false where it is that of a question.
func CutRow(key string) (question, row string, isRow bool) { return strings.Cut(key, ".") }

// Flat gives the questions of a version with the rows of each matrix as ratings of their own:
// what is counted and analysed.
func Flat(version *surveyv1.Questionnaire) []*surveyv1.Question {
	out := make([]*surveyv1.Question, 0, len(version.GetQuestions()))
	for _, question := range version.GetQuestions() {
		if question.GetType() != surveyv1.QuestionType_QUESTION_TYPE_MATRIX {
			out = append(out, question)
			continue
		}
		for _, row := range question.GetRows() {
			out = append(out, &surveyv1.Question{
				Key: RowKey(question.GetKey(), row.GetKey()), Type: surveyv1.QuestionType_QUESTION_TYPE_RATING,
				Text: joined(question.GetText(), row.GetText()), SectionKey: question.GetSectionKey(), Aspect: row.GetAspect(),
				LowLabel: question.GetLowLabel(), HighLabel: question.GetHighLabel(),
			})
		}
	}
	return out
}

// joined is the text of a row behind that of its question.
func joined(question, row *typev1.Text) *typev1.Text {
	a, b := proto.CloneOf(question), proto.CloneOf(row)
	Fill(a)
	Fill(b)
	return &typev1.Text{Zh: a.GetZh() + " " + b.GetZh(), En: a.GetEn() + " " + b.GetEn()}
}

// FlatScores are the scores of responses by the keys of Flat.
func FlatScores(responses []*surveyv1.Response) map[string]int32 {
	scores := make(map[string]int32, len(responses))
	for _, response := range responses {
		switch value := response.GetValue().(type) {
		case *surveyv1.Response_Score:
			scores[response.GetQuestionKey()] = value.Score
		case *surveyv1.Response_Rows:
			for _, cell := range value.Rows.GetScores() {
				scores[RowKey(response.GetQuestionKey(), cell.GetRowKey())] = cell.GetScore()
			}
		}
	}
	return scores
}
