// Package questionnaire holds the rules of questionnaires and answers: what a draft may
// hold, when it may be published, which answers fit a published version and how an answer
// is scored.
package questionnaire

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Limits of a text in one language, in characters.
const (
	maxTitle    = 200
	maxQuestion = 500
	maxChoice   = 200
	maxLong     = 2000
	maxLabel    = 100
	maxUnit     = 20
)

// Fault is one thing that is wrong.
type Fault struct {
	// Path of the field at fault, within the questionnaire or beside the responses.
	Path string
	// Question is the key of the question concerned; empty when it is none.
	Question string
	Text     rpcerr.Text
	// Kind says what sort of fault of a questionnaire it is; empty for faults of drafts and answers.
	Kind Kind
	// Warning does not keep a questionnaire from being published.
	Warning bool
}

// Content is the part of a questionnaire that is published: a copy of all but id, version, times
// and etag.
func Content(q *surveyv1.Questionnaire) *surveyv1.Questionnaire {
	part := proto.CloneOf(q)
	if part == nil {
		part = new(surveyv1.Questionnaire)
	}
	part.Id, part.Version, part.Etag = "", 0, ""
	part.PublishTime, part.CreateTime, part.UpdateTime = nil, nil, nil
	return part
}

// CheckDraft finds the texts that no draft may hold: too long ones and such without any
// language.
func CheckDraft(q *surveyv1.Questionnaire) []Fault {
	var faults []Fault
	eachText(q, func(t textAt) { faults = append(faults, t.check()...) })
	eachValue(q, func(path, key, value string) {
		if strings.ContainsRune(value, 0) {
			faults = append(faults, Fault{Path: path, Question: key, Text: nulText()})
		}
	})
	return faults
}

// textAt is a text of a questionnaire, where it stands and how long it may be in one language.
type textAt struct {
	path, key string
	text      *typev1.Text
	limit     int
}

// eachText visits every text there is; optional ones only where they are given.
func eachText(q *surveyv1.Questionnaire, visit func(t textAt)) {
	visit(textAt{"title", "", q.GetTitle(), maxTitle})
	given := func(path, key string, text *typev1.Text, limit int) {
		if text != nil {
			visit(textAt{path, key, text, limit})
		}
	}
	given("introduction", "", q.GetIntroduction(), maxLong)
	given("thanks", "", q.GetThanks(), maxLong)
	for i, section := range q.GetSections() {
		path := fmt.Sprintf("sections[%d]", i)
		visit(textAt{path + ".title", "", section.GetTitle(), maxTitle})
		given(path+".introduction", "", section.GetIntroduction(), maxLong)
	}
	for i, question := range q.GetQuestions() {
		path, key := fmt.Sprintf("questions[%d]", i), question.GetKey()
		visit(textAt{path + ".text", key, question.GetText(), maxQuestion})
		given(path+".help", key, question.GetHelp(), maxQuestion)
		given(path+".low_label", key, question.GetLowLabel(), maxLabel)
		given(path+".high_label", key, question.GetHighLabel(), maxLabel)
		given(path+".number_rule.unit", key, question.GetNumberRule().GetUnit(), maxUnit)
		for j, choice := range question.GetChoices() {
			visit(textAt{fmt.Sprintf("%s.choices[%d].text", path, j), key, choice.GetText(), maxChoice})
		}
		for j, row := range question.GetRows() {
			visit(textAt{fmt.Sprintf("%s.rows[%d].text", path, j), key, row.GetText(), maxChoice})
		}
	}
}

// eachValue visits the free values that are no texts: keys that are referred to and the values of
// tests.
func eachValue(q *surveyv1.Questionnaire, visit func(path, key, value string)) {
	condition := func(path, key string, c *surveyv1.Condition) {
		eachTest(path, c, func(path string, test *surveyv1.ConditionTest) {
			visit(path+".question_key", key, test.GetQuestionKey())
			visit(path+".row_key", key, test.GetRowKey())
			for i, value := range slices.Concat(test.GetOneOf().GetValues(), test.GetNoneOf().GetValues()) {
				visit(fmt.Sprintf("%s.values[%d]", path, i), key, value)
			}
			visit(path+".between", key, test.GetBetween().GetLeast()+test.GetBetween().GetGreatest())
		})
	}
	for i, section := range q.GetSections() {
		condition(fmt.Sprintf("sections[%d].show_if", i), "", section.GetShowIf())
	}
	for i, question := range q.GetQuestions() {
		path, key := fmt.Sprintf("questions[%d]", i), question.GetKey()
		condition(path+".show_if", key, question.GetShowIf())
		visit(path+".section_key", key, question.GetSectionKey())
		visit(path+".aspect", key, question.GetAspect())
		visit(path+".date_rule", key, question.GetDateRule().GetLeast()+question.GetDateRule().GetGreatest())
		for j, row := range question.GetRows() {
			visit(fmt.Sprintf("%s.rows[%d].aspect", path, j), key, row.GetAspect())
		}
		for j, choice := range question.GetChoices() {
			visit(fmt.Sprintf("%s.choices[%d].aspect", path, j), key, choice.GetAspect())
		}
	}
}

// eachTest visits the tests of a condition with their paths.
func eachTest(path string, c *surveyv1.Condition, visit func(path string, test *surveyv1.ConditionTest)) {
	for i, group := range c.GetAnyOf() {
		for j, test := range group.GetAllOf() {
			visit(fmt.Sprintf("%s.any_of[%d].all_of[%d]", path, i, j), test)
		}
	}
}

func (t textAt) check() []Fault {
	if len(languagesOf(t.text)) == 0 {
		return []Fault{{Path: t.path, Question: t.key, Text: rpcerr.T(
			"it is empty; write it in at least one language", "内容为空；请至少用一种语言填写")}}
	}
	var faults []Fault
	for _, language := range []string{"zh", "en"} {
		value := in(t.text, language)
		switch n := utf8.RuneCountInString(value); {
		case n > t.limit:
			faults = append(faults, Fault{Path: t.path + "." + language, Question: t.key, Text: rpcerr.T(
				"it has %[1]d characters; use at most %[2]d", "共 %[1]d 个字符；最多 %[2]d 个", n, t.limit)})
		case strings.ContainsRune(value, 0):
			faults = append(faults, Fault{Path: t.path + "." + language, Question: t.key, Text: nulText()})
		}
	}
	return faults
}

// nulText refuses the one character that cannot be stored.
func nulText() rpcerr.Text {
	return rpcerr.T("it holds a NUL character; take it out", "含有 NUL 字符；请去掉")
}

func languagesOf(text *typev1.Text) []string {
	var languages []string
	for _, language := range []string{"zh", "en"} {
		if !empty(in(text, language)) {
			languages = append(languages, language)
		}
	}
	return languages
}

func in(text *typev1.Text, language string) string {
	if language == "zh" {
		return text.GetZh()
	}
	return text.GetEn()
}

func empty(s string) bool { return strings.TrimSpace(s) == "" }
