// Package questionnaire holds the rules of questionnaires and answers: what a draft may
// hold, when it may be published, which answers fit a published version and how an answer
// is scored.
package questionnaire

import (
	"fmt"
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
)

const minChoices = 2

// Fault is one thing that is wrong.
type Fault struct {
	// Path of the field at fault, within the questionnaire or beside the responses.
	Path string
	// Question is the key of the question concerned; empty when it is none.
	Question string
	Text     rpcerr.Text
}

// Content is the part of a questionnaire that is published: a copy with title, trigger and
// questions only.
func Content(q *surveyv1.Questionnaire) *surveyv1.Questionnaire {
	part := &surveyv1.Questionnaire{Title: q.GetTitle(), Trigger: q.GetTrigger(), Questions: q.GetQuestions()}
	return proto.CloneOf(part)
}

// CheckDraft finds the texts that no draft may hold: too long ones and such without any
// language.
func CheckDraft(q *surveyv1.Questionnaire) []Fault {
	var faults []Fault
	eachText(q, func(path, key string, text *typev1.Text, limit int) {
		faults = append(faults, checkText(path, key, text, limit)...)
	})
	return faults
}

// CheckPublish finds what keeps a draft from being published.
func CheckPublish(q *surveyv1.Questionnaire) []Fault {
	var faults []Fault
	if len(q.GetQuestions()) == 0 {
		faults = append(faults, Fault{Path: "questions", Text: rpcerr.T(
			"there is no question; add at least one", "没有问题；请至少添加一个")})
	}
	faults = append(faults, checkKeys(q)...)
	for i, question := range q.GetQuestions() {
		faults = append(faults, checkChoices(i, question)...)
	}
	languages := languagesOf(q.GetTitle())
	eachText(q, func(path, key string, text *typev1.Text, _ int) {
		for _, language := range languages {
			if empty(in(text, language)) {
				faults = append(faults, Fault{Path: path + "." + language, Question: key, Text: rpcerr.T(
					"the title has the language %[1]q, so this text needs it too; translate it or take the language out of the title",
					"标题有语言 %[1]q，此文本也需要该语言；请翻译，或从标题中去掉该语言", language)})
			}
		}
	})
	return faults
}

// eachText visits the title and the texts of questions and choices with their limits.
func eachText(q *surveyv1.Questionnaire, visit func(path, key string, text *typev1.Text, limit int)) {
	visit("title", "", q.GetTitle(), maxTitle)
	for i, question := range q.GetQuestions() {
		path := fmt.Sprintf("questions[%d]", i)
		visit(path+".text", question.GetKey(), question.GetText(), maxQuestion)
		for j, choice := range question.GetChoices() {
			visit(fmt.Sprintf("%s.choices[%d].text", path, j), question.GetKey(), choice.GetText(), maxChoice)
		}
	}
}

func checkText(path, key string, text *typev1.Text, limit int) []Fault {
	if len(languagesOf(text)) == 0 {
		return []Fault{{Path: path, Question: key, Text: rpcerr.T(
			"it is empty; write it in at least one language", "内容为空；请至少用一种语言填写")}}
	}
	var faults []Fault
	for _, language := range []string{"zh", "en"} {
		value := in(text, language)
		switch n := utf8.RuneCountInString(value); {
		case n > limit:
			faults = append(faults, Fault{Path: path + "." + language, Question: key, Text: rpcerr.T(
				"it has %[1]d characters; use at most %[2]d", "共 %[1]d 个字符；最多 %[2]d 个", n, limit)})
		case strings.ContainsRune(value, 0):
			faults = append(faults, Fault{Path: path + "." + language, Question: key, Text: nulText()})
		}
	}
	return faults
}

// nulText refuses the one character that cannot be stored.
func nulText() rpcerr.Text {
	return rpcerr.T("it holds a NUL character; take it out", "含有 NUL 字符；请去掉")
}

func checkKeys(q *surveyv1.Questionnaire) []Fault {
	var faults []Fault
	first := make(map[string]int, len(q.GetQuestions()))
	for i, question := range q.GetQuestions() {
		key := question.GetKey()
		if before, taken := first[key]; taken {
			faults = append(faults, Fault{Path: fmt.Sprintf("questions[%d].key", i), Question: key, Text: rpcerr.T(
				"the key %[1]q is that of question %[2]d too; give each question its own",
				"键 %[1]q 已用于第 %[2]d 个问题；每个问题请使用不同的键", key, before+1)})
			continue
		}
		first[key] = i
	}
	return faults
}

func checkChoices(i int, question *surveyv1.Question) []Fault {
	path := fmt.Sprintf("questions[%d].choices", i)
	fault := func(path string, text rpcerr.Text) Fault {
		return Fault{Path: path, Question: question.GetKey(), Text: text}
	}
	n := len(question.GetChoices())
	if question.GetType() != surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE {
		if n == 0 {
			return nil
		}
		return []Fault{fault(path, rpcerr.T(
			"the question %[1]q has %[2]d choices, but only a single-choice question may have any; take them out or change the type",
			"问题 %[1]q 有 %[2]d 个选项，但只有单选题可以有选项；请去掉选项或更改题型", question.GetKey(), n))}
	}
	var faults []Fault
	if n < minChoices {
		faults = append(faults, fault(path, rpcerr.T(
			"the single-choice question %[1]q has %[2]d choices; give at least %[3]d",
			"单选题 %[1]q 有 %[2]d 个选项；请至少提供 %[3]d 个", question.GetKey(), n, minChoices)))
	}
	first := make(map[string]int, n)
	for j, choice := range question.GetChoices() {
		if before, taken := first[choice.GetKey()]; taken {
			faults = append(faults, fault(fmt.Sprintf("%s[%d].key", path, j), rpcerr.T(
				"the key %[1]q is that of choice %[2]d too; give each choice its own",
				"键 %[1]q 已用于第 %[2]d 个选项；每个选项请使用不同的键", choice.GetKey(), before+1)))
			continue
		}
		first[choice.GetKey()] = j
	}
	return faults
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
