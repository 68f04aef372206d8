package surveypage

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// question is one question of a page.
type question struct {
	Key string
	// Kind and Key name its fields; Shape says how it is drawn.
	Kind, Shape string
	// Field is the name of its field, or of the first of them; First is the id of its first
	// control.
	Field, First string
	Text, Help   string
	// Rule says what fits, Error what does not.
	Rule, Error string
	Required    bool
	Options     []option
	Low, High   string
	Rows        []row
	Value, Unit string
	// Least and Greatest bound a date, or are the ends of a scale.
	Least, Greatest string
	// Describe are the ids of what describes it.
	Describe string
}

// option is one value to choose.
type option struct {
	Value, Text string
	// Meaning is what a score means, for those who do not see where it stands.
	Meaning string
	Chosen  bool
}

// row is a row of a matrix, or a choice to rank.
type row struct {
	Field, Text string
	Options     []option
}

// Shapes.
const (
	shapeScale    = "scale"
	shapeSingle   = "single"
	shapeMultiple = "multiple"
	shapeMatrix   = "matrix"
	shapeRanking  = "ranking"
	shapeNumber   = "number"
	shapeDate     = "date"
	shapeLine     = "line"
	shapeText     = "text"
)

// scale is the range of a score.
type scale struct{ least, greatest int }

func scaleOf(t surveyv1.QuestionType) (scale, bool) {
	switch t {
	case surveyv1.QuestionType_QUESTION_TYPE_RATING, surveyv1.QuestionType_QUESTION_TYPE_MATRIX:
		return scale{1, 5}, t == surveyv1.QuestionType_QUESTION_TYPE_RATING
	case surveyv1.QuestionType_QUESTION_TYPE_NPS:
		return scale{0, 10}, true
	case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
		return scale{1, 7}, true
	}
	return scale{}, false
}

// questionOf draws a question with what was entered.
func questionOf(q *surveyv1.Question, lang string, values url.Values, fault bool) question {
	w := wordsIn(lang)
	view := question{Key: q.GetKey(), Text: in(q.GetText(), lang), Help: in(q.GetHelp(), lang), Required: q.GetRequired()}
	view.First = "a-" + q.GetKey()
	entered, fits := "", ""
	switch q.GetType() {
	case surveyv1.QuestionType_QUESTION_TYPE_RATING, surveyv1.QuestionType_QUESTION_TYPE_NPS, surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
		view.Kind, view.Shape = kindScore, shapeScale
		view.Low, view.High = endsOf(q, lang, w)
		view.Options = view.scale(q.GetType(), values.Get(kindScore+"."+q.GetKey()))
	case surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE:
		view.Kind, view.Shape = kindChoice, shapeSingle
		view.Options = options(q, lang, values[kindChoice+"."+q.GetKey()])
	case surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE:
		view.Kind, view.Shape = kindChoices, shapeMultiple
		view.Options = options(q, lang, values[kindChoices+"."+q.GetKey()])
		view.Rule = w.howMany(q.GetChoiceRule())
	case surveyv1.QuestionType_QUESTION_TYPE_MATRIX:
		view.Kind, view.Shape, view.Rule = kindRows, shapeMatrix, w.RateRows
		view.Low, view.High = endsOf(q, lang, w)
		entered = view.matrix(q, lang, values)
	case surveyv1.QuestionType_QUESTION_TYPE_RANKING:
		view.Kind, view.Shape = kindRanking, shapeRanking
		entered = view.ranking(q, lang, values, w)
	case surveyv1.QuestionType_QUESTION_TYPE_NUMBER:
		view.Kind, view.Shape, view.Unit = kindNumber, shapeNumber, in(q.GetNumberRule().GetUnit(), lang)
		view.Rule = w.number(q.GetNumberRule())
	case surveyv1.QuestionType_QUESTION_TYPE_DATE:
		view.Kind, view.Shape = kindDate, shapeDate
		view.Least, view.Greatest = q.GetDateRule().GetLeast(), q.GetDateRule().GetGreatest()
		view.Rule = w.day(q.GetDateRule())
	default:
		view.Kind, view.Shape = kindText, shapeText
		if q.GetTextRule().GetSingleLine() {
			view.Shape = shapeLine
		}
		fits = w.length(q.GetTextRule())
		if q.GetTextRule().GetLeast() > 0 || q.GetTextRule().GetGreatest() > 0 {
			view.Rule = fits
		}
	}
	view.Field = view.Kind + "." + q.GetKey()
	view.Value = values.Get(view.Field)
	if fault {
		view.Error = w.Answer
		if entered+view.Value != "" { // the error says what would fit
			view.Error, view.Rule = strings.TrimSpace(w.Check+cmp.Or(fits, view.Rule)), ""
		}
	}
	view.describe()
	return view
}

// describe names what belongs to the question besides its text.
func (v *question) describe() {
	var ids []string
	for _, part := range []struct{ name, text string }{{"h", v.Help}, {"r", v.Rule}, {"e", v.Error}} {
		if part.text != "" {
			ids = append(ids, part.name+"-"+v.Key)
		}
	}
	v.Describe = strings.Join(ids, " ")
}

// endsOf says what the ends of a scale mean.
func endsOf(q *surveyv1.Question, lang string, w *words) (low, high string) {
	low, high = in(q.GetLowLabel(), lang), in(q.GetHighLabel(), lang)
	ends := w.Satisfied
	switch q.GetType() {
	case surveyv1.QuestionType_QUESTION_TYPE_NPS:
		ends = w.Likely
	case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
		ends = w.Easy
	}
	if low == "" {
		low = ends[0]
	}
	if high == "" {
		high = ends[1]
	}
	return low, high
}

func (v *question) scale(t surveyv1.QuestionType, chosen string) []option {
	s, _ := scaleOf(t)
	v.Least, v.Greatest = strconv.Itoa(s.least), strconv.Itoa(s.greatest)
	var list []option
	for n := s.least; n <= s.greatest; n++ {
		o := option{Value: strconv.Itoa(n), Text: strconv.Itoa(n)}
		o.Chosen = o.Value == chosen
		switch n {
		case s.least:
			o.Meaning = v.Low
		case s.greatest:
			o.Meaning = v.High
		}
		list = append(list, o)
	}
	return list
}

func options(q *surveyv1.Question, lang string, chosen []string) []option {
	var list []option
	for _, c := range q.GetChoices() {
		list = append(list, option{Value: c.GetKey(), Text: in(c.GetText(), lang), Chosen: slices.Contains(chosen, c.GetKey())})
	}
	return list
}

// matrix makes the rows and gives what was entered into them.
func (v *question) matrix(q *surveyv1.Question, lang string, values url.Values) (entered string) {
	for _, r := range q.GetRows() {
		line := row{Field: kindRows + "." + q.GetKey() + "." + r.GetKey(), Text: in(r.GetText(), lang)}
		line.Options = v.scale(q.GetType(), values.Get(line.Field))
		entered += values.Get(line.Field)
		v.Rows = append(v.Rows, line)
	}
	return entered
}

// ranking makes a choice of a place for each choice, and gives what was entered.
func (v *question) ranking(q *surveyv1.Question, lang string, values url.Values, w *words) (entered string) {
	places := int(q.GetChoiceRule().GetGreatest())
	if places == 0 {
		places = len(q.GetChoices())
	}
	v.Rule = fmt.Sprintf(w.Rank, places)
	for _, c := range q.GetChoices() {
		line := row{Field: kindRanking + "." + q.GetKey() + "." + c.GetKey(), Text: in(c.GetText(), lang)}
		for n := 1; n <= places; n++ {
			place := strconv.Itoa(n)
			line.Options = append(line.Options, option{Value: place, Text: place, Chosen: values.Get(line.Field) == place})
		}
		entered += values.Get(line.Field)
		v.Rows = append(v.Rows, line)
	}
	return entered
}
