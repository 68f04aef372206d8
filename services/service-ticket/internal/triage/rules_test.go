package triage_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

// decided tells a decision as `type/priority/department of rule:words`.
func decided(d triage.Decision) string {
	of := func(o *triage.Outcome) string {
		if o == nil {
			return "-"
		}
		return o.Rule.GetRuleId() + ":" + strings.Join(o.Words, ",")
	}
	return of(d.Type) + " " + of(d.Priority) + " " + of(d.Department)
}

func TestTheFirstRuleThatFitsSaysWhatIsNeeded(t *testing.T) {
	rules := triage.New(1, &ticketv1.TriageRules{Rules: []*ticketv1.TriageRule{
		{RuleId: "seal", Words: []string{"seal", "密封"}, Skills: []string{"seals"}},
		{RuleId: "english", Words: []string{"please"}, Language: "en"},
		{RuleId: "type-only", Words: []string{"seal"}, Type: ticketv1.TicketType_TICKET_TYPE_REPAIR},
	}})
	for text, want := range map[string]string{
		"please, the seal": "seal", "密封漏水": "seal", "please help": "english", "hello": "",
	} {
		if got := rules.Decide(triage.Facts{Text: text}).Needs; (got == nil && want != "") || (got != nil && got.Rule.GetRuleId() != want) {
			t.Errorf("%s: %v, want %q", text, got, want)
		}
	}
}

func TestTheStandardInBothLanguages(t *testing.T) {
	rules := triage.New(1, &ticketv1.TriageRules{Rules: triage.Standard()})
	for text, want := range map[string]string{
		"机器不启动":                      "repair:不启动 - -",
		"水泵漏水":                       "- - -",
		"The pump does not start":    "repair:does not start - -",
		"产线停线，机器故障":                  "repair:故障 line-stopped:停线 -",
		"We want a REFUND, urgently": "return:refund* pressing:urgent* -",
		"ｒｅｔｕｒｎ":                     "return:return - -",
		"returned call":              "- - -",
		"请问如何安装":                     "installation:安装 - -",
		"控制柜冒烟，请维修":                  "repair:维修 danger:冒烟 -",
		"please请repair一下":            "repair:repair* - -",
		"debugging aids":             "- - -",
		"not urgent: a question":     "consultation:question pressing:urgent* -",
	} {
		if got := decided(rules.Decide(triage.Facts{Text: text})); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]ticketv1.DepartmentFunction{
		"这批轴承有质量问题":                 ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL,
		"poor quality of the seals": ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL,
		"订单什么时候发货":                  ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY,
		"What is the price?":        ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY,
		"物流太慢":                      ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY,
		"客服态度差":                     ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE,
		"The agent was rude":        ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE,
		"机器不启动":                     ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_UNSPECIFIED,
		"out of order":              ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_UNSPECIFIED,
	} {
		var got ticketv1.DepartmentFunction
		if o := rules.Decide(triage.Facts{Text: text}).Function; o != nil {
			got = o.Rule.GetDepartmentFunction()
		}
		if got != want {
			t.Errorf("%s goes to %v, want %v", text, got, want)
		}
	}
	if faults := triage.Faults(&ticketv1.TriageRules{Rules: triage.Standard(), PriorityMatrix: ticket.StandardMatrix()}, func(uuid.UUID) bool { return false }); len(faults) > 0 {
		t.Errorf("the built-in rules are wrong: %v", faults)
	}
}

func TestRulesAreLookedAtInOrder(t *testing.T) {
	const pumps = "01890a5d-ac96-774b-bcce-b302099a8057"
	repair, other := ticketv1.TicketType_TICKET_TYPE_REPAIR, ticketv1.TicketType_TICKET_TYPE_OTHER
	rules := triage.New(7, &ticketv1.TriageRules{Rules: []*ticketv1.TriageRule{
		{RuleId: "leak", Words: []string{"leak*", "漏"}, WithoutWords: []string{"no leak"}, Type: repair},
		{RuleId: "leak-2", Words: []string{"leak*"}, Type: other, Priority: ticketv1.Priority_PRIORITY_P2},
		{RuleId: "pump-repair", Types: []ticketv1.TicketType{repair}, ProductModels: []string{"P-1*", "q"}, DepartmentId: pumps},
	}})
	for _, c := range []struct {
		facts triage.Facts
		want  string
	}{
		{triage.Facts{Text: "it leaks", Product: "p-100"}, "leak:leak* leak-2:leak* pump-repair:"},
		{triage.Facts{Text: "it leaks", Product: "P-2"}, "leak:leak* leak-2:leak* -"},
		{triage.Facts{Text: "漏水", Product: " Q "}, "leak:漏 - pump-repair:"},
		{triage.Facts{Text: "no leak here"}, "leak-2:leak* leak-2:leak* -"},
		// What was told is what later rules go by.
		{triage.Facts{Text: "it leaks", Product: "q", Type: other}, "leak:leak* leak-2:leak* -"},
		{triage.Facts{Product: "q", Type: repair}, "- - pump-repair:"},
		{triage.Facts{Product: "qq", Type: repair}, "- - -"},
	} {
		if got := decided(rules.Decide(c.facts)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.facts, got, c.want)
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	good := func() *ticketv1.TriageRule {
		return &ticketv1.TriageRule{RuleId: "a", Words: []string{"x"}, Type: ticketv1.TicketType_TICKET_TYPE_REPAIR, Confidence: 1}
	}
	for want, change := range map[string]func(r *ticketv1.TriageRule){
		"":                       func(*ticketv1.TriageRule) {},
		"rules[0].rule_id":       func(r *ticketv1.TriageRule) { r.RuleId = "No!" },
		"rules[1].rule_id":       func(r *ticketv1.TriageRule) { r.RuleId = "b" },
		"rules[0].type":          func(r *ticketv1.TriageRule) { r.Type = 0 },
		"rules[0].words":         func(r *ticketv1.TriageRule) { r.Words = nil },
		"rules[0].confidence":    func(r *ticketv1.TriageRule) { r.Confidence = 1.01 },
		"rules[0].words[0]":      func(r *ticketv1.TriageRule) { r.Words = []string{"*"} },
		"rules[0].skills":        func(r *ticketv1.TriageRule) { r.Skills = []string{"pumps "} },
		"rules[0].department_id": func(r *ticketv1.TriageRule) { r.DepartmentId = "01890a5d-ac96-774b-bcce-b302099a8057" },
	} {
		rule, second := good(), good()
		second.RuleId = "b"
		change(rule)
		var got []string
		for _, f := range triage.Faults(&ticketv1.TriageRules{Rules: []*ticketv1.TriageRule{rule, second}}, func(uuid.UUID) bool { return false }) {
			if f.GetText().GetEn() == "" || f.GetText().GetZh() == "" {
				t.Errorf("%s has no text", f.GetField())
			}
			got = append(got, f.GetField())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("faults %v, want %q", got, want)
		}
	}
}
