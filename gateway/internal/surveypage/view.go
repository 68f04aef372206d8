package surveypage

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// section is one page of a questionnaire with the questions that are shown on it.
type section struct {
	key                 string
	title, introduction *typev1.Text
	questions           []*surveyv1.Question
	// more: further answers may bring up further questions.
	more bool
}

func (s section) any(keys map[string]bool) bool {
	return slices.ContainsFunc(s.questions, func(q *surveyv1.Question) bool { return keys[q.GetKey()] })
}

// shownSections are the sections with questions that are shown, in order. A questionnaire
// without sections is one page.
func shownSections(form *surveyv1.AnswerForm) []section {
	shown := keysOf(form.GetShownQuestions())
	all := []section{{}}
	if list := form.GetQuestionnaire().GetSections(); len(list) > 0 {
		all = all[:0]
		for _, s := range list {
			all = append(all, section{key: s.GetKey(), title: s.GetTitle(), introduction: s.GetIntroduction()})
		}
	}
	for _, q := range form.GetQuestionnaire().GetQuestions() {
		at := find(all, q.GetSectionKey())
		switch {
		case at < 0:
		case shown[q.GetKey()]:
			all[at].questions = append(all[at].questions, q)
		default:
			all[at].more = true
		}
	}
	return slices.DeleteFunc(all, func(s section) bool { return len(s.questions) == 0 })
}

func find(sections []section, key string) int {
	return slices.IndexFunc(sections, func(s section) bool { return s.key == key })
}

// after is the first section shown behind one, which itself need not be shown.
func after(form *surveyv1.AnswerForm, shown []section, key string) int {
	all := form.GetQuestionnaire().GetSections()
	at := slices.IndexFunc(all, func(s *surveyv1.Section) bool { return s.GetKey() == key })
	for _, s := range all[at+1:] {
		if next := find(shown, s.GetKey()); at >= 0 && next >= 0 {
			return next
		}
	}
	return len(shown)
}

// last tells that nothing can come behind a section, whatever is answered in it.
func last(form *surveyv1.AnswerForm, key string) bool {
	behind := key == ""
	for _, s := range form.GetQuestionnaire().GetSections() {
		if behind && slices.ContainsFunc(form.GetQuestionnaire().GetQuestions(), func(q *surveyv1.Question) bool { return q.GetSectionKey() == s.GetKey() }) {
			return false
		}
		behind = behind || s.GetKey() == key
	}
	return true
}

// filled is a form with what was entered so far.
type filled struct {
	form *surveyv1.AnswerForm
	// lang is the chosen language; empty for the invitation's.
	lang   string
	values url.Values
	// faults are the questions to look at again.
	faults map[string]bool
	// rated is a score that the link brought along.
	rated         string
	saved, opened bool
}

// frame is what every page has.
type frame struct {
	W     *words
	Title string
	Style string
	// Other is the language to switch to.
	Other, OtherName string
}

func frameOf(lang string) frame {
	w := wordsIn(lang)
	f := frame{W: w, Style: styleVersion, Other: rpcerr.English, OtherName: "English"}
	if lang == rpcerr.English {
		f.Other, f.OtherName = rpcerr.Chinese, "中文"
	}
	return f
}

// formView is a page with questions, or the one behind the last of them.
type formView struct {
	frame
	Token, Page, Once        string
	Heading, Introduction    string
	SectionTitle, Section    string
	Number, Count            int
	Questions                []question
	Faults                   []question
	First, More, Forward     bool
	End, Saved, Opened       bool
	Rated, Until             string
	Anonymous, Sections, Any bool
}

func sendForm(w http.ResponseWriter, r *http.Request, code int, f filled, sections []section, at int) {
	lang := f.lang
	if lang == "" {
		lang = f.form.GetLanguage()
	}
	q := f.form.GetQuestionnaire()
	v := formView{
		frame: frameOf(lang), Token: r.PathValue("token"), Once: newOnce(),
		Number: at + 1, Count: len(sections), First: at == 0, Sections: len(q.GetSections()) > 0,
		End: at >= len(sections), Saved: f.saved, Opened: f.opened, Rated: f.rated, Anonymous: q.GetAnonymous(),
		Until: f.form.GetExpireTime().AsTime().In(time.UTC).Format(time.DateOnly), Any: len(sections) > 0,
	}
	v.Heading = in(q.GetTitle(), lang)
	v.Title = v.Heading
	if !v.End {
		s := sections[at]
		v.Page, v.More, v.Forward = s.key, s.more, !last(f.form, s.key)
		v.SectionTitle, v.Section = in(s.title, lang), in(s.introduction, lang)
		if v.First {
			v.Introduction = in(q.GetIntroduction(), lang)
		}
		for _, one := range s.questions {
			view := questionOf(one, lang, f.values, f.faults[one.GetKey()])
			v.Questions = append(v.Questions, view)
			if view.Error != "" {
				v.Faults = append(v.Faults, view)
			}
		}
	}
	if len(v.Faults) > 0 {
		v.Title = v.W.ErrorTitle + v.Title
	}
	send(w, code, "form", v)
}

// in picks a text; the service fills in the other language where one lacks.
func in(t *typev1.Text, lang string) string {
	if lang == rpcerr.Chinese {
		return t.GetZh()
	}
	return t.GetEn()
}

// valuesOf gives responses as the fields of a form.
func valuesOf(responses []*surveyv1.Response) url.Values {
	values := url.Values{}
	for _, response := range responses {
		key := response.GetQuestionKey()
		switch v := response.GetValue().(type) {
		case *surveyv1.Response_Score:
			values.Set(kindScore+"."+key, strconv.Itoa(int(v.Score)))
		case *surveyv1.Response_Choice:
			values.Set(kindChoice+"."+key, v.Choice)
		case *surveyv1.Response_Text:
			values.Set(kindText+"."+key, v.Text)
		case *surveyv1.Response_Choices:
			values[kindChoices+"."+key] = v.Choices.GetKeys()
		case *surveyv1.Response_Ranking:
			for i, choice := range v.Ranking.GetKeys() {
				values.Set(kindRanking+"."+key+"."+choice, strconv.Itoa(i+1))
			}
		case *surveyv1.Response_Rows:
			for _, row := range v.Rows.GetScores() {
				values.Set(kindRows+"."+key+"."+row.GetRowKey(), strconv.Itoa(int(row.GetScore())))
			}
		case *surveyv1.Response_Number:
			values.Set(kindNumber+"."+key, strconv.FormatFloat(v.Number, 'f', -1, 64))
		case *surveyv1.Response_Date:
			values.Set(kindDate+"."+key, v.Date)
		}
	}
	return values
}

// rate fills in the score that a link brings along (`?score=4`, for one question among
// several `&question=key`), for the customer to look at and send; else it gives nothing.
func rate(s section, values url.Values, query url.Values) string {
	score, err := strconv.Atoi(query.Get("score"))
	if err != nil {
		return ""
	}
	for _, q := range s.questions {
		scale, scored := scaleOf(q.GetType())
		if !scored || query.Get("question") != "" && query.Get("question") != q.GetKey() {
			continue
		}
		if score < scale.least || score > scale.greatest {
			return ""
		}
		values.Set(kindScore+"."+q.GetKey(), strconv.Itoa(score))
		return strconv.Itoa(score)
	}
	return ""
}
