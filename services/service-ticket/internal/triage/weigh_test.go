package triage_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

func TestWhatANewTicketWeighs(t *testing.T) {
	const (
		high, low     = ticketv1.Urgency_URGENCY_HIGH, ticketv1.Urgency_URGENCY_LOW
		wide, one     = ticketv1.Impact_IMPACT_HIGH, ticketv1.Impact_IMPACT_LOW
		p1, p3        = ticketv1.Priority_PRIORITY_P1, ticketv1.Priority_PRIORITY_P3
		p4            = ticketv1.Priority_PRIORITY_P4
		dflt, given   = ticketv1.PrioritySource_PRIORITY_SOURCE_DEFAULT, ticketv1.PrioritySource_PRIORITY_SOURCE_GIVEN
		byRule, table = ticketv1.PrioritySource_PRIORITY_SOURCE_RULE, ticketv1.PrioritySource_PRIORITY_SOURCE_MATRIX
	)
	w := func(u ticketv1.Urgency, i ticketv1.Impact, p ticketv1.Priority, s ticketv1.PrioritySource) ticket.Weight {
		return ticket.Weight{Urgency: u, Impact: i, Priority: p, PrioritySource: s}
	}
	rule := func(r *ticketv1.TriageRule) *triage.Outcome { return &triage.Outcome{Rule: r} }
	danger := triage.Decision{Priority: rule(&ticketv1.TriageRule{Priority: p1})}
	slow := triage.Decision{Urgency: rule(&ticketv1.TriageRule{Urgency: low}), Impact: rule(&ticketv1.TriageRule{Impact: one})}
	both := triage.Decision{Priority: danger.Priority, Urgency: slow.Urgency, Impact: slow.Impact}
	for name, c := range map[string]struct {
		given ticket.Weight
		rules triage.Decision
		want  ticket.Weight
	}{
		"nothing":                    {ticket.Weight{}, triage.Decision{}, w(0, 0, p3, dflt)},
		"a priority":                 {ticket.Weight{Priority: p4}, triage.Decision{}, w(0, 0, p4, given)},
		"both":                       {ticket.Weight{Urgency: high, Impact: wide}, triage.Decision{}, w(high, wide, p1, table)},
		"one alone":                  {ticket.Weight{Urgency: high}, triage.Decision{}, w(high, 0, p3, dflt)},
		"both and another priority":  {ticket.Weight{Urgency: high, Impact: wide, Priority: p4}, triage.Decision{}, w(high, wide, p4, given)},
		"both and their priority":    {ticket.Weight{Urgency: high, Impact: wide, Priority: p1}, triage.Decision{}, w(high, wide, p1, table)},
		"rules say both":             {ticket.Weight{}, slow, w(low, one, p4, table)},
		"a rule says the other":      {ticket.Weight{Impact: wide}, slow, w(low, wide, p3, table)},
		"a rule says a priority":     {ticket.Weight{Urgency: high}, danger, w(high, 0, p1, byRule)},
		"it goes before the matrix":  {ticket.Weight{}, both, w(low, one, p1, byRule)},
		"not where both were given":  {ticket.Weight{Urgency: low, Impact: one}, both, w(low, one, p4, table)},
		"nor before what was given":  {ticket.Weight{Priority: p3}, both, w(low, one, p3, given)},
		"whoever gives what it says": {ticket.Weight{Priority: p1}, danger, w(0, 0, p1, byRule)},
	} {
		if got := triage.Weigh(ticket.NewMatrix(nil), c.given, c.rules); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestFaultsOfAMatrix(t *testing.T) {
	faults := func(change func([]*ticketv1.PriorityCell) []*ticketv1.PriorityCell) (fields []string) {
		for _, f := range triage.Faults(&ticketv1.TriageRules{PriorityMatrix: change(ticket.StandardMatrix())}, func(uuid.UUID) bool { return false }) {
			if f.GetText().GetEn() == "" || f.GetText().GetZh() == "" {
				t.Errorf("%s has no text", f.GetField())
			}
			fields = append(fields, f.GetField())
		}
		return fields
	}
	type cells = []*ticketv1.PriorityCell
	for name, c := range map[string]struct {
		change func(cells) cells
		want   []string
	}{
		"whole":   {func(c cells) cells { return c }, nil},
		"none":    {func(cells) cells { return nil }, nil},
		"lacking": {func(c cells) cells { return c[1:] }, []string{"priority_matrix"}},
		"twice":   {func(c cells) cells { return append(c, c[3]) }, []string{"priority_matrix[9]"}},
		"empty": {func(c cells) cells {
			c[2].Priority = 0
			return c
		}, []string{"priority_matrix", "priority_matrix[2]"}},
	} {
		if got := faults(c.change); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestRulesSayUrgencyAndImpact(t *testing.T) {
	in := &ticketv1.TriageRules{Rules: []*ticketv1.TriageRule{
		{RuleId: "line", Words: []string{"停线"}, Impact: ticketv1.Impact_IMPACT_HIGH, Confidence: 0.8},
		{RuleId: "soon", Words: []string{"尽快"}, Urgency: ticketv1.Urgency_URGENCY_HIGH, Impact: ticketv1.Impact_IMPACT_LOW, Confidence: 0.6},
	}}
	if faults := triage.Faults(in, func(uuid.UUID) bool { return false }); len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
	d := triage.New(1, in).Decide(triage.Facts{Text: "停线，请尽快"})
	if d.Impact.Rule.GetRuleId() != "line" || d.Urgency.Rule.GetRuleId() != "soon" {
		t.Errorf("%v, %v", d.Impact, d.Urgency)
	}
}
