package questionnaire

import (
	"slices"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// Slot is where the scores of a question stand among those of an answer.
type Slot struct {
	Key  string
	Type surveyv1.QuestionType
	// Number counts from 1 within a questionnaire.
	Number int16
	// Choices are the keys of a single choice in the order of their numbers, the first being 1.
	Choices []string
}

// Slots gives those of a version that comes after the ones that had earlier. A question that
// keeps key and type keeps its slot, and a choice its number, also where a version between did
// not have it; what is new gets the next ones. A row of a matrix has one, as the rating that Flat
// makes of it; what is answered with anything but one score or choice has none.
func Slots(earlier []Slot, version *surveyv1.Questionnaire) []Slot {
	var out []Slot
	var last int16
	for _, slot := range earlier {
		last = max(last, slot.Number)
	}
	for _, question := range Flat(version) {
		if _, _, scored := Range(question.GetType()); !scored && question.GetType() != kindSingle {
			continue
		}
		slot := Slot{Key: question.GetKey(), Type: question.GetType()}
		for _, known := range earlier {
			if known.Key == slot.Key && known.Type == slot.Type {
				slot.Number = known.Number
				// Later versions list more choices, never fewer.
				if len(known.Choices) > len(slot.Choices) {
					slot.Choices = slices.Clone(known.Choices)
				}
			}
		}
		if slot.Number == 0 {
			last++
			slot.Number = last
		}
		for _, choice := range question.GetChoices() {
			if !slices.Contains(slot.Choices, choice.GetKey()) {
				slot.Choices = append(slot.Choices, choice.GetKey())
			}
		}
		out = append(out, slot)
	}
	return out
}
