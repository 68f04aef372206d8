// Package report makes of a request for an analysis what has to be counted, and of the counts
// the analysis: which figures may be shown, the tests, their correction and the sentences.
package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// Question is one question to analyse.
type Question struct {
	Key   string
	Label *typev1.Text
	Type  surveyv1.QuestionType
	Slot  int16
	// Scale of its scores; of a choice of two 0 to 1.
	Scale analysis.Scale
	// Choices of a choice of two, and the text of the second.
	Choices  []string
	Chosen   *typev1.Text
	Nature   surveyv1.ProblemNature
	Severity surveyv1.ProblemSeverity
}

// score makes of what is stored the score that is computed with.
func (q Question) score(stored int16) int32 {
	if q.Type == surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE {
		return int32(stored) - 1
	}
	return int32(stored)
}

// Dimension is a way to part answers.
type Dimension struct {
	Asked *surveyv1.AnswerDimension
	Label *typev1.Text
	// Slot of a question; 0 for an attribute.
	Slot int16
	// values by what is stored; nil where what is stored is the value itself.
	values map[string]string
	order  []string
	labels map[string]*typev1.Text
}

// value is that of what is stored, empty where it is not known.
func (d Dimension) value(stored string) string {
	if d.values == nil {
		return stored
	}
	return d.values[stored]
}

// Stored gives what is stored of a value; false where the dimension has no such value.
func (d Dimension) Stored(value string) (string, bool) {
	if d.values == nil {
		return value, true
	}
	for stored, known := range d.values {
		if known == value {
			return stored, true
		}
	}
	return "", false
}

// group names a value.
func (d Dimension) group(value string) *surveyv1.AnswerGroup {
	label := d.labels[value]
	switch {
	case label != nil:
	case value == "":
		label = &typev1.Text{Zh: "未知", En: "not known"}
	default:
		label = &typev1.Text{Zh: value, En: value}
	}
	return &surveyv1.AnswerGroup{Value: value, Label: label}
}

// sorted orders values as the question or attribute does, those not known last.
func (d Dimension) sorted(values []string) {
	slices.SortFunc(values, func(a, b string) int {
		if (a == "") != (b == "") {
			return cmp.Compare(b, a)
		}
		return cmp.Or(cmp.Compare(slices.Index(d.order, a), slices.Index(d.order, b)), cmp.Compare(a, b))
	})
}

// Filter keeps answers with one of the stored values.
type Filter struct {
	Dimension
	Stored []string
}

// Plan is what to count and to compute.
type Plan struct {
	QuestionnaireID string
	Title           *typev1.Text
	// Overall is nil without one.
	Overall   *Question
	Aspects   []Question
	Groupings []Dimension
	Filters   []Filter
	// Tier is the dimension of weights, nil without weights.
	Tier *Dimension
	// Low says which scores are low.
	Low questionnaire.Thresholds
}

// Questions are the overall question, when there is one, and the aspects.
func (p *Plan) Questions() []Question {
	if p.Overall == nil {
		return p.Aspects
	}
	return append([]Question{*p.Overall}, p.Aspects...)
}

// Dimensions are all that answers have to be parted by: the groupings, and the tier for weights.
func (p *Plan) Dimensions() []Dimension {
	if p.Tier == nil {
		return p.Groupings
	}
	return append(slices.Clone(p.Groupings), *p.Tier)
}

// Survey is what is known of a questionnaire's questions.
type Survey struct {
	ID string
	// Versions from the newest to the oldest.
	Versions []*surveyv1.Questionnaire
	// Slots of the newest version first.
	Slots []questionnaire.Slot
}

// slot is that of the key in the newest version that has it.
func (s Survey) slot(key string) (questionnaire.Slot, bool) {
	i := slices.IndexFunc(s.Slots, func(slot questionnaire.Slot) bool { return slot.Key == key })
	if i < 0 {
		return questionnaire.Slot{}, false
	}
	return s.Slots[i], true
}

// question is the newest with key and type, for its texts.
func (s Survey) question(slot questionnaire.Slot) *surveyv1.Question {
	for _, version := range s.Versions {
		for _, q := range questionnaire.Flat(version) {
			if q.GetKey() == slot.Key && q.GetType() == slot.Type {
				return q
			}
		}
	}
	return nil
}

// planner collects what does not fit.
type planner struct {
	survey Survey
	faults []questionnaire.Fault
}

func (p *planner) fault(path, key string, text rpcerr.Text) {
	p.faults = append(p.faults, questionnaire.Fault{Path: path, Question: key, Text: text})
}

// NewPlan makes the plan of a request, or says what in it does not fit the questionnaire.
func NewPlan(survey Survey, req *surveyv1.AnalyzeAnswersRequest, low questionnaire.Thresholds) (*Plan, []questionnaire.Fault) {
	p := &planner{survey: survey}
	out := &Plan{QuestionnaireID: survey.ID, Title: survey.Versions[0].GetTitle(), Low: low}
	if key := req.GetOverall(); key != "" {
		out.Overall = p.overall(key)
	}
	out.Aspects = p.aspects(req)
	for i, asked := range req.GetGroupings() {
		path := fmt.Sprintf("groupings[%d]", i)
		if d, ok := p.dimension(path, asked); ok {
			if slices.ContainsFunc(out.Groupings, func(other Dimension) bool { return other.same(d) }) {
				p.fault(path, "", rpcerr.T("it groups as another one does; name each once", "与另一个分组重复；每个分组只能出现一次"))
			}
			out.Groupings = append(out.Groupings, d)
		}
	}
	for i, asked := range req.GetFilters() {
		out.Filters = append(out.Filters, p.filter(fmt.Sprintf("filters[%d]", i), asked))
	}
	if from, to := req.GetStartTime(), req.GetEndTime(); from != nil && to != nil && !from.AsTime().Before(to.AsTime()) {
		p.fault("end_time", "", rpcerr.T("it is not after start_time; give a later one", "不晚于 start_time；请填写更晚的时间"))
	}
	if req.GetWeightByTier() {
		tier := attribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER)
		out.Tier = &tier
	}
	return out, p.faults
}

func (d Dimension) same(other Dimension) bool {
	return d.Slot == other.Slot && d.Asked.GetAttribute() == other.Asked.GetAttribute()
}

// scored makes a question of scores, without its texts where there are none.
func (p *planner) scored(slot questionnaire.Slot) (Question, bool) {
	least, greatest, ok := questionnaire.Range(slot.Type)
	return Question{
		Key: slot.Key, Label: p.survey.question(slot).GetText(), Type: slot.Type, Slot: slot.Number,
		Scale: analysis.Scale{Least: least, Greatest: greatest},
	}, ok
}

func (p *planner) overall(key string) *Question {
	slot, known := p.survey.slot(key)
	if known {
		q, scored := p.scored(slot)
		if !scored && len(slot.Choices) == 2 {
			q.Scale, q.Choices, scored = analysis.Scale{Least: 0, Greatest: 1}, slot.Choices, true
			q.Chosen = p.choices(key)[slot.Choices[1]]
		}
		if scored {
			return &q
		}
	}
	p.fault("overall", key, rpcerr.T(
		"%[1]q is no rating, NPS or effort question and no single choice of two of this questionnaire; give the key of one",
		"%[1]q 不是该问卷的评分题、NPS 题、费力度题或二选一单选题；请填写此类问题的键", key))
	return nil
}

func (p *planner) aspects(req *surveyv1.AnalyzeAnswersRequest) []Question {
	var out []Question
	seen := map[string]bool{req.GetOverall(): true}
	for i, asked := range req.GetAspects() {
		key, path := asked.GetQuestionKey(), fmt.Sprintf("aspects[%d].question_key", i)
		slot, _ := p.survey.slot(key)
		q, scored := p.scored(slot)
		switch {
		case !scored:
			p.fault(path, key, rpcerr.T("%[1]q is no rating, NPS or effort question of this questionnaire; give the key of one",
				"%[1]q 不是该问卷的评分题、NPS 题或费力度题；请填写此类问题的键", key))
		case seen[key]:
			p.fault(path, key, rpcerr.T("%[1]q is named twice, or is the overall question; name each question once",
				"%[1]q 重复，或已作为总体问题；每个问题只能出现一次", key))
		}
		seen[key], q.Nature, q.Severity = true, asked.GetNature(), asked.GetSeverity()
		out = append(out, q)
	}
	if len(req.GetAspects()) > 0 {
		return out
	}
	for _, question := range questionnaire.Flat(p.survey.Versions[0]) {
		slot, _ := p.survey.slot(question.GetKey())
		if q, scored := p.scored(slot); scored && !seen[q.Key] {
			out = append(out, q)
		}
	}
	if most := 50; len(out) > most {
		p.fault("aspects", "", rpcerr.T("the questionnaire has %[1]d rating, NPS and effort questions; name at most %[2]d of them",
			"该问卷有 %[1]d 个评分题、NPS 题和费力度题；请从中指定至多 %[2]d 个", len(out), most))
	}
	return out
}

func (p *planner) dimension(path string, asked *surveyv1.AnswerDimension) (Dimension, bool) {
	key := asked.GetQuestionKey()
	switch {
	case asked.GetAttribute() != 0:
		return attribute(asked.GetAttribute()), true
	case key == "":
		p.fault(path, "", rpcerr.T("it names neither a question nor an attribute; give one of them", "既未指定问题也未指定属性；请填写其一"))
		return Dimension{}, false
	}
	slot, known := p.survey.slot(key)
	if !known || slot.Type != surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE {
		p.fault(path+".question_key", key, rpcerr.T("%[1]q is no single-choice question of this questionnaire; give the key of one",
			"%[1]q 不是该问卷的单选题；请填写单选题的键", key))
		return Dimension{}, false
	}
	out := Dimension{Asked: asked, Label: p.survey.question(slot).GetText(), Slot: slot.Number, order: slot.Choices,
		values: map[string]string{}, labels: p.choices(key)}
	for i, choice := range slot.Choices {
		out.values[strconv.Itoa(i+1)] = choice
	}
	return out, true
}

// choices are the newest texts of a question's choices: older versions do not overwrite them.
func (p *planner) choices(key string) map[string]*typev1.Text {
	out := map[string]*typev1.Text{}
	for _, version := range p.survey.Versions {
		for _, q := range version.GetQuestions() {
			for _, c := range q.GetChoices() {
				if q.GetKey() == key && out[c.GetKey()] == nil {
					out[c.GetKey()] = c.GetText()
				}
			}
		}
	}
	return out
}

func (p *planner) filter(path string, asked *surveyv1.AnswerFilter) Filter {
	d, ok := p.dimension(path+".dimension", asked.GetDimension())
	out := Filter{Dimension: d}
	if !ok {
		return out
	}
	for i, value := range asked.GetValues() {
		stored, known := d.Stored(value)
		if !known {
			p.fault(fmt.Sprintf("%s.values[%d]", path, i), d.Asked.GetQuestionKey(), rpcerr.T(
				"there is no value %[1]q; give some of %[2]v", "没有值 %[1]q；请从 %[2]v 中选择", value, d.order))
		}
		out.Stored = append(out.Stored, stored)
	}
	return out
}

func both(zh, en string) *typev1.Text { return &typev1.Text{Zh: zh, En: en} }

// attribute describes what is recorded with answers.
func attribute(a surveyv1.AnswerAttribute) Dimension {
	out := Dimension{
		Asked:  &surveyv1.AnswerDimension{By: &surveyv1.AnswerDimension_Attribute{Attribute: a}},
		values: map[string]string{}, labels: map[string]*typev1.Text{},
	}
	add := func(stored int32, value, zh, en string) {
		out.values[strconv.Itoa(int(stored))], out.labels[value] = value, both(zh, en)
		out.order = append(out.order, value)
	}
	switch a {
	case surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER:
		out.Label = both("客户等级", "customer tier")
		for tier, label := range []*typev1.Text{typev1.Tier_TIER_C: both("C 级", "tier C"), typev1.Tier_TIER_B: both("B 级", "tier B"),
			typev1.Tier_TIER_A: both("A 级", "tier A"), typev1.Tier_TIER_KEY: both("重点客户", "key customers")} {
			if label != nil {
				add(int32(tier), typev1.Tier(tier).String(), label.GetZh(), label.GetEn())
			}
		}
	case surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_CUSTOMER_KIND:
		out.Label = both("客户类型", "customer kind")
		add(1, customerv1.CustomerKind_CUSTOMER_KIND_DISTRIBUTOR.String(), "经销商", "distributors")
		add(2, customerv1.CustomerKind_CUSTOMER_KIND_AGENT.String(), "代理商", "agents")
		add(3, customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER.String(), "直接用户", "direct users")
	case surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_CAUSE:
		out.Label = both("调查缘由", "what was asked about")
		add(1, "ticket", "工单", "a ticket")
		add(2, "complaint", "投诉", "a complaint")
		add(3, "invitation", "人工邀请", "an invitation by hand")
		add(4, "import", "导入", "an import")
	default:
		out.Label, out.values = both("地区", "region"), nil
	}
	return out
}
