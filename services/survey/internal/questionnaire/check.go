package questionnaire

import (
	"fmt"
	"slices"
	"strings"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Kind is a sort of fault, as FindingKind names it.
type Kind string

// The kinds.
const (
	Empty         Kind = "EMPTY"
	Duplicate     Kind = "DUPLICATE_KEY"
	Misplaced     Kind = "MISPLACED"
	Incomplete    Kind = "INCOMPLETE"
	Untranslated  Kind = "MISSING_TRANSLATION"
	WrongSection  Kind = "WRONG_SECTION"
	Unknown       Kind = "UNKNOWN_REFERENCE"
	Later         Kind = "LATER_REFERENCE"
	WrongTest     Kind = "WRONG_TEST"
	ScaleMismatch Kind = "SCALE_MISMATCH"
	Contradictory Kind = "CONTRADICTORY"
	Unreachable   Kind = "UNREACHABLE"
)

// Around is what a questionnaire is checked against.
type Around struct {
	// Aspects are the keys of the standard aspects; nil leaves aspects unchecked.
	Aspects map[string]bool
	// Earlier are the slots of the versions before, the newest first.
	Earlier []Slot
	// Last is the version before; nil where there is none.
	Last *surveyv1.Questionnaire
}

// CheckPublish finds what keeps a draft from being published, and what is to be thought over
// before (warnings).
func CheckPublish(q *surveyv1.Questionnaire, around Around) []Fault {
	c := &checker{q: q, around: around, places: map[string]int{}, sections: map[string]int{}}
	if len(q.GetQuestions()) == 0 {
		c.add(Fault{Kind: Empty, Path: "questions", Text: rpcerr.T("there is no question; add at least one", "没有问题；请至少添加一个")})
	}
	if last := around.Last; last != nil && last.GetAnonymous() != q.GetAnonymous() {
		c.add(Fault{Kind: Misplaced, Path: "anonymous", Text: rpcerr.T(
			"a published questionnaire cannot become anonymous or stop being it, or its answers could be told apart; change a copy",
			"已发布的问卷不能改为匿名或取消匿名，否则其回答可被区分；请复制后修改")})
	}
	c.keys()
	c.placement()
	for i, question := range q.GetQuestions() {
		c.shape(i, question)
	}
	c.translations()
	c.scales()
	c.logic()
	return c.faults
}

// Blocking are the faults among them that are no warnings.
func Blocking(faults []Fault) []Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return f.Warning })
}

type checker struct {
	q      *surveyv1.Questionnaire
	around Around
	faults []Fault
	tries  int
	// places and sections are the first ones with a key.
	places, sections map[string]int
}

func (c *checker) add(f Fault) { c.faults = append(c.faults, f) }

// question gives the first question with a key, nil where there is none.
func (c *checker) question(key string) *surveyv1.Question {
	if place, known := c.places[key]; known {
		return c.q.GetQuestions()[place]
	}
	return nil
}

func (c *checker) keys() {
	for i, section := range c.q.GetSections() {
		key := section.GetKey()
		if before, taken := c.sections[key]; taken {
			c.add(Fault{Kind: Duplicate, Path: fmt.Sprintf("sections[%d].key", i), Text: rpcerr.T(
				"the key %[1]q is that of section %[2]d too; give each section its own",
				"键 %[1]q 已用于第 %[2]d 个部分；每个部分请使用不同的键", key, before+1)})
			continue
		}
		c.sections[key] = i
	}
	for i, question := range c.q.GetQuestions() {
		key := question.GetKey()
		if before, taken := c.places[key]; taken {
			c.add(Fault{Kind: Duplicate, Path: fmt.Sprintf("questions[%d].key", i), Question: key, Text: rpcerr.T(
				"the key %[1]q is that of question %[2]d too; give each question its own",
				"键 %[1]q 已用于第 %[2]d 个问题；每个问题请使用不同的键", key, before+1)})
			continue
		}
		c.places[key] = i
	}
}

// placement checks that each question stands in a section, in the order of the sections.
func (c *checker) placement() {
	last := 0
	used := map[string]bool{}
	for i, question := range c.q.GetQuestions() {
		section, path := question.GetSectionKey(), fmt.Sprintf("questions[%d].section_key", i)
		fault := func(text rpcerr.Text) {
			c.add(Fault{Kind: WrongSection, Path: path, Question: question.GetKey(), Text: text})
		}
		place, known := c.sections[section]
		used[section] = true
		switch {
		case len(c.q.GetSections()) == 0 && section == "":
		case !known && section == "":
			fault(rpcerr.T("the question %[1]q stands in no section, and the questionnaire has some; name one",
				"问题 %[1]q 不属于任何部分，而问卷已划分部分；请指定一个", question.GetKey()))
		case !known:
			fault(rpcerr.T("there is no section %[1]q; give the key of one of this questionnaire",
				"没有部分 %[1]q；请填写本问卷中某个部分的键", section))
		case place < last:
			fault(rpcerr.T("the question %[1]q of section %[2]q stands behind one of a later section; move it up",
				"部分 %[2]q 的问题 %[1]q 排在后面部分的问题之后；请上移", question.GetKey(), section))
		default:
			last = place
		}
	}
	for i, section := range c.q.GetSections() {
		if !used[section.GetKey()] {
			c.add(Fault{Kind: WrongSection, Path: fmt.Sprintf("sections[%d]", i), Text: rpcerr.T(
				"the section %[1]q has no question; add one or take the section out",
				"部分 %[1]q 没有问题；请添加问题或删除该部分", section.GetKey())})
		}
	}
	if c.q.GetRandomOrder() && len(c.q.GetSections()) > 0 {
		c.add(Fault{Kind: Misplaced, Path: "random_order", Text: rpcerr.T(
			"a questionnaire with sections has the random order of each section; set it there",
			"已划分部分的问卷按部分设置随机顺序；请在各部分中设置")})
	}
}

func (c *checker) translations() {
	languages := languagesOf(c.q.GetTitle())
	eachText(c.q, func(t textAt) {
		for _, language := range languages {
			if empty(in(t.text, language)) {
				c.add(Fault{Kind: Untranslated, Path: t.path + "." + language, Question: t.key, Text: rpcerr.T(
					"the title has the language %[1]q, so this text needs it too; translate it or take the language out of the title",
					"标题有语言 %[1]q，此文本也需要该语言；请翻译，或从标题中去掉该语言", language)})
			}
		}
	})
}

// scales checks that what measures the same thing has the same scale: the questions of an aspect,
// and a question and what versions before asked under its key.
func (c *checker) scales() {
	first := map[string]*surveyv1.Question{}
	aspect := func(path, key, aspect string, asked *surveyv1.Question) {
		switch before := first[aspect]; {
		case aspect == "":
		case c.around.Aspects != nil && !c.around.Aspects[aspect]:
			c.add(Fault{Kind: Unknown, Path: path + ".aspect", Question: key, Text: rpcerr.T(
				"there is no standard aspect %[1]q; use one of those that FindAspects names", "没有标准维度 %[1]q；请使用标准维度列表中的键", aspect)})
		case before == nil:
			first[aspect] = asked
		case before.GetType() != asked.GetType():
			c.add(Fault{Kind: ScaleMismatch, Path: path + ".aspect", Question: key, Text: rpcerr.T(
				"%[1]q measures %[2]q as a %[3]s and %[4]q as a %[5]s; measure one aspect on one scale",
				"%[1]q 以%[3]s衡量 %[2]q，而 %[4]q 以%[5]s衡量；同一维度请使用同一量表",
				key, aspect, typeWord(asked.GetType()), before.GetKey(), typeWord(before.GetType()))})
		}
	}
	for i, question := range c.q.GetQuestions() {
		path, key := fmt.Sprintf("questions[%d]", i), question.GetKey()
		aspect(path, key, question.GetAspect(), question)
		for j, row := range question.GetRows() {
			rated := &surveyv1.Question{Key: RowKey(key, row.GetKey()), Type: surveyv1.QuestionType_QUESTION_TYPE_RATING}
			aspect(fmt.Sprintf("%s.rows[%d]", path, j), key, row.GetAspect(), rated)
		}
	}
	for _, question := range Flat(c.q) {
		at := slices.IndexFunc(c.around.Earlier, func(s Slot) bool { return s.Key == question.GetKey() })
		if at < 0 || c.around.Earlier[at].Type == question.GetType() {
			continue
		}
		key, _, _ := CutRow(question.GetKey())
		c.add(Fault{Kind: ScaleMismatch, Warning: true, Path: fmt.Sprintf("questions[%d].type", c.places[key]), Question: key, Text: rpcerr.T(
			"%[1]q was a %[2]s in a version before and is a %[3]s now, so its figures cannot be compared; give it another key",
			"%[1]q 在之前的版本中为%[2]s，现在为%[3]s，结果无法比较；请换一个键",
			question.GetKey(), typeWord(c.around.Earlier[at].Type), typeWord(question.GetType()))})
	}
}

// typeWord is a type in lower case, e.g. "single choice".
func typeWord(t surveyv1.QuestionType) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(t.String(), "QUESTION_TYPE_")), "_", " ")
}
