package surveypage

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/width"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// What a button may ask for; a language's tag asks for that language.
const (
	verbNext   = "next"
	verbBack   = "back"
	verbSave   = "save"
	verbSubmit = "submit"
	// verbWithdraw takes an answer back.
	verbWithdraw = "withdraw"
)

// Kinds of fields. A field is called kind.question, and of a matrix or ranking
// kind.question.row: no key has a dot.
const (
	kindScore   = "score"
	kindChoice  = "choice"
	kindChoices = "choices"
	kindRows    = "rows"
	kindNumber  = "number"
	kindDate    = "date"
	kindRanking = "rank"
	kindText    = "text"
)

// sent is a form that came back.
type sent struct {
	verb, lang, page, once string
	// more: the section had questions that were not shown.
	more bool
	// asked are the questions that stood in the form.
	asked     map[string]bool
	values    url.Values
	responses []*surveyv1.Response
	// cleared are the questions that stood in the form and came back empty.
	cleared []string
	// bad are the questions whose fields make no response at all.
	bad map[string]bool
}

// read takes a form apart; else it gives the HTTP code of what is wrong.
func read(r *http.Request) (*sent, int) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, http.StatusUnsupportedMediaType
	}
	if err := r.ParseForm(); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, http.StatusRequestEntityTooLarge
		}
		return nil, http.StatusBadRequest
	}
	form := r.PostForm
	s := &sent{
		verb: form.Get("go"), lang: chosen(form.Get("lang")), page: form.Get("page"), once: form.Get("once"),
		more: form.Has("more"), values: form, asked: map[string]bool{}, bad: map[string]bool{},
	}
	if len(s.once) > 64 || !readable(form) { // no form of ours
		return nil, http.StatusBadRequest
	}
	switch s.verb {
	case verbNext, verbBack, verbSave, verbSubmit, verbWithdraw:
	default:
		if chosen(s.verb) == "" {
			return nil, http.StatusBadRequest
		}
	}
	for _, name := range form["q"] {
		kind, key, ok := strings.Cut(name, ".")
		if !ok {
			return nil, http.StatusBadRequest
		}
		if s.asked[key] {
			continue
		}
		s.asked[key] = true
		s.take(kind, key)
	}
	return s, 0
}

// readable tells that a form is all text: what is not cannot even be asked of the service.
func readable(form url.Values) bool {
	for name, list := range form {
		if !utf8.ValidString(name) || slices.ContainsFunc(list, func(value string) bool { return !utf8.ValidString(value) }) {
			return false
		}
	}
	return true
}

// take makes the response to one question of its fields.
func (s *sent) take(kind, key string) {
	response := &surveyv1.Response{QuestionKey: key}
	given, fits := s.fill(response, kind, key)
	switch {
	case !given:
		s.cleared = append(s.cleared, key)
	case fits:
		s.responses = append(s.responses, response)
	default:
		s.bad[key] = true
	}
}

// fill sets the value of a response. It tells whether anything was entered, and whether that
// is a value at all; whether it is a right one the service says.
func (s *sent) fill(response *surveyv1.Response, kind, key string) (given, fits bool) {
	name := kind + "." + key
	value := s.values.Get(name)
	switch kind {
	case kindRows:
		scores, fits := s.scores(name + ".")
		response.Value = &surveyv1.Response_Rows{Rows: &surveyv1.RowScores{Scores: scores}}
		return len(scores) > 0 || !fits, fits
	case kindRanking:
		keys, fits := s.ranked(name + ".")
		response.Value = &surveyv1.Response_Ranking{Ranking: &surveyv1.ChoiceList{Keys: keys}}
		return len(keys) > 0 || !fits, fits
	case kindChoices:
		keys := s.values[name]
		response.Value = &surveyv1.Response_Choices{Choices: &surveyv1.ChoiceList{Keys: keys}}
		return len(keys) > 0, true
	case kindText:
		// Browsers send line ends of two characters; the limits are meant without.
		value = strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "\n"))
		response.Value = &surveyv1.Response_Text{Text: value}
		return value != "", true
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return false, true
	}
	switch kind {
	case kindScore:
		n, err := strconv.ParseInt(value, 10, 32)
		response.Value = &surveyv1.Response_Score{Score: int32(n)}
		return true, err == nil
	case kindNumber:
		// Digits of Chinese input methods are wide.
		n, err := strconv.ParseFloat(width.Narrow.String(value), 64)
		response.Value = &surveyv1.Response_Number{Number: n}
		return true, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
	case kindDate:
		response.Value = &surveyv1.Response_Date{Date: value}
		return true, len(value) <= len("2006-01-02")
	}
	response.Value = &surveyv1.Response_Choice{Choice: value}
	return true, true
}

// scores gives the rated rows of a matrix.
func (s *sent) scores(prefix string) (scores []*surveyv1.RowScore, fit bool) {
	for row, value := range s.rest(prefix) {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return nil, false
		}
		scores = append(scores, &surveyv1.RowScore{RowKey: row, Score: int32(n)})
	}
	slices.SortFunc(scores, func(a, b *surveyv1.RowScore) int { return cmp.Compare(a.GetRowKey(), b.GetRowKey()) })
	return scores, true
}

// ranked gives the choices of a ranking from the first place on; places that stand twice or
// leave one out make no ranking.
func (s *sent) ranked(prefix string) (keys []string, fit bool) {
	places := map[int]string{}
	for choice, value := range s.rest(prefix) {
		place, err := strconv.Atoi(value)
		if _, twice := places[place]; err != nil || twice {
			return nil, false
		}
		places[place] = choice
	}
	for place := 1; place <= len(places); place++ {
		choice, ok := places[place]
		if !ok {
			return nil, false
		}
		keys = append(keys, choice)
	}
	return keys, true
}

// rest gives what was entered into the fields with a prefix, by the rest of their names.
func (s *sent) rest(prefix string) map[string]string {
	out := map[string]string{}
	for name := range s.values {
		if row, ok := strings.CutPrefix(name, prefix); ok && s.values.Get(name) != "" {
			out[row] = s.values.Get(name)
		}
	}
	return out
}

// misfit tells that the service refuses what was entered, and not the link.
func misfit(err error) bool {
	switch rpcerr.Reason(err) {
	case "ANSWER_INVALID":
		return true
	case "VALIDATION_FAILED":
		return !slices.ContainsFunc(violations(err), func(field string) bool { return !strings.HasPrefix(field, "responses[") })
	}
	return false
}

func violations(err error) []string {
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	return fields
}

// faults are the questions that a misfit names, and those without a readable value.
func (s *sent) faults(err error) map[string]bool {
	faults := keysOf(nil)
	for key := range s.bad {
		faults[key] = true
	}
	if named := rpcerr.Info(err).GetMetadata()["questions"]; named != "" {
		for key := range strings.SplitSeq(named, ",") {
			faults[key] = true
		}
	}
	for _, field := range violations(err) {
		var at int
		if n, _ := fmt.Sscanf(field, "responses[%d]", &at); n == 1 && at >= 0 && at < len(s.responses) {
			faults[s.responses[at].GetQuestionKey()] = true
		}
	}
	return faults
}

// newlyShown is the first question of the section that what was entered has brought up.
func (s *sent) newlyShown(sections []section, at int) string {
	if at < 0 {
		return ""
	}
	for _, q := range sections[at].questions {
		if !s.asked[q.GetKey()] {
			return q.GetKey()
		}
	}
	return ""
}

// place is where the form stood.
func (s *sent) place(query url.Values) url.Values {
	if s.values.Has("end") {
		query.Set("end", "1")
	} else {
		query.Set("page", s.page)
	}
	return query
}

func keysOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, key := range list {
		set[key] = true
	}
	return set
}
