// Package triage is what decides, before anybody has read a ticket, what it is about: rules
// that the company keeps as data, and what past tickets teach. It does no I/O.
package triage

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// Facts are what rules look at. Type is unspecified where nobody told it.
type Facts struct {
	Type    ticketv1.TicketType
	Product string
	Text    string
}

// Outcome is what a rule decided of a ticket.
type Outcome struct {
	Rule *ticketv1.TriageRule
	// Words are those of the rule that the text holds.
	Words []string
}

// Decision is what the rules decide; nil for what none speaks of.
type Decision struct{ Type, Priority, Urgency, Impact, Department, Function, Needs *Outcome }

// Rules are one version, made ready. They are safe for concurrent use.
type Rules struct {
	Version int64
	// Matrix is which priority urgency and impact give.
	Matrix ticket.Matrix
	rules  []ready
}

// ready is a rule with its words and products in the form that is compared.
type ready struct {
	rule                     *ticketv1.TriageRule
	products, words, without []string
}

// New makes a version ready.
func New(version int64, in *ticketv1.TriageRules) *Rules {
	rules := in.GetRules()
	out := &Rules{Version: version, Matrix: ticket.NewMatrix(in.GetPriorityMatrix()), rules: make([]ready, len(rules))}
	for i, r := range rules {
		out.rules[i] = ready{rule: r, products: each(r.GetProductModels(), organisation.Product), words: each(r.GetWords(), folded), without: each(r.GetWithoutWords(), folded)}
	}
	return out
}

func each(in []string, form func(string) string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = form(s)
	}
	return out
}

// Decide looks at the rules in their order; the first that fits decides what it speaks of.
// A type that one decides is what later ones go by, unless it was told.
func (r *Rules) Decide(f Facts) Decision {
	var d Decision
	text, product, kind := folded(f.Text), organisation.Product(f.Product), f.Type
	for i := range r.rules {
		words, fits := r.rules[i].fits(kind, product, text)
		if !fits {
			continue
		}
		rule := r.rules[i].rule
		out := &Outcome{Rule: rule, Words: words}
		if rule.GetType() != 0 && d.Type == nil {
			d.Type = out
			if kind == 0 {
				kind = rule.GetType()
			}
		}
		if rule.GetPriority() != 0 && d.Priority == nil {
			d.Priority = out
		}
		if rule.GetUrgency() != 0 && d.Urgency == nil {
			d.Urgency = out
		}
		if rule.GetImpact() != 0 && d.Impact == nil {
			d.Impact = out
		}
		if rule.GetDepartmentId() != "" && d.Department == nil {
			d.Department = out
		}
		if rule.GetDepartmentFunction() != 0 && d.Function == nil {
			d.Function = out
		}
		if demanding(rule) && d.Needs == nil {
			d.Needs = out
		}
	}
	return d
}

// demanding tells whether a rule says what whoever takes a ticket must be able to.
func demanding(r *ticketv1.TriageRule) bool { return len(r.GetSkills()) > 0 || r.GetLanguage() != "" }

// fits tells whether all conditions hold, and which words did.
func (r *ready) fits(kind ticketv1.TicketType, product, text string) (words []string, ok bool) {
	if len(r.rule.GetTypes()) > 0 && !slices.Contains(r.rule.GetTypes(), kind) {
		return nil, false
	}
	if len(r.products) > 0 && !slices.ContainsFunc(r.products, func(p string) bool {
		start, open := strings.CutSuffix(p, "*")
		return product == p || open && strings.HasPrefix(product, start)
	}) {
		return nil, false
	}
	if slices.ContainsFunc(r.without, func(w string) bool { return holds(text, w) }) {
		return nil, false
	}
	for i, w := range r.words {
		if holds(text, w) {
			words = append(words, r.rule.GetWords()[i])
		}
	}
	return words, len(words) > 0 || len(r.words) == 0
}

var ruleID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,59}$`)

// Faults names everything that is wrong with a version. known tells whether there is a department.
func Faults(in *ticketv1.TriageRules, known func(uuid.UUID) bool) []*ticketv1.TriageFault {
	out := matrixFaults(in.GetPriorityMatrix())
	seen := map[string]bool{}
	for i, r := range in.GetRules() {
		fault := func(field, en, zh string) {
			out = append(out, &ticketv1.TriageFault{Field: fmt.Sprintf("rules[%d].%s", i, field), Text: &typev1.Text{En: en, Zh: zh}})
		}
		id := r.GetRuleId()
		switch {
		case !ruleID.MatchString(id):
			fault("rule_id", fmt.Sprintf("it is %q; use lower case letters, digits and hyphens, e.g. line-stopped", id),
				fmt.Sprintf("现为 %q；请使用小写字母、数字和连字符，例如 line-stopped", id))
		case seen[id]:
			fault("rule_id", fmt.Sprintf("an earlier rule is called %q too; give each its own", id), fmt.Sprintf("前面已有规则使用 %q；请使用不同的标识", id))
		}
		seen[id] = true
		if r.GetType() == 0 && r.GetPriority() == 0 && r.GetUrgency() == 0 && r.GetImpact() == 0 && r.GetDepartmentId() == "" && r.GetDepartmentFunction() == 0 && !demanding(r) {
			fault("type", "the rule decides nothing; give a type, a priority, an urgency, an impact, a department, skills or a language",
				"该规则没有任何结论；请填写类型、优先级、紧急程度、影响范围、部门、技能或语言")
		}
		if err := ticket.CheckNeeds("needs", ticket.Needs{Skills: r.GetSkills()}); err != nil {
			fault("skills", "a skill has a line break, or a space at an end; write it as it stands with the staff", "技能含有换行或首尾空格；请按人员资料中的写法填写")
		}
		if len(r.GetTypes())+len(r.GetProductModels())+len(r.GetWords()) == 0 {
			fault("words", "the rule fits every ticket; give types, products or words", "该规则适用于所有工单；请填写类型、产品或词语条件")
		}
		if c := r.GetConfidence(); !(c > 0 && c <= 1) {
			fault("confidence", fmt.Sprintf("it is %g; give more than 0 and at most 1", c), fmt.Sprintf("现为 %g；请填写大于 0 且不超过 1 的值", c))
		}
		if id, err := uuid.Parse(r.GetDepartmentId()); err == nil && !known(id) {
			fault("department_id", fmt.Sprintf("there is no department %s; give the id of one that the directory lists", id), fmt.Sprintf("没有部门 %s；请填写组织架构中已有部门的 id", id))
		}
		for name, list := range map[string][]string{"product_models": r.GetProductModels(), "words": r.GetWords(), "without_words": r.GetWithoutWords()} {
			for k, w := range list {
				if strings.Trim(w, "* \t") == "" || strings.TrimSpace(w) != w {
					fault(fmt.Sprintf("%s[%d]", name, k), fmt.Sprintf("it is %q; give a word without blanks around it", w), fmt.Sprintf("现为 %q；请填写前后无空格的词语", w))
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *ticketv1.TriageFault) int { return strings.Compare(a.GetField(), b.GetField()) })
	return out
}
