package triage

import (
	"fmt"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// Weigh is the weight of a new ticket. What the registrant gave stays, and rules say what they
// left open. Urgency and impact give the priority where nobody gave one; a rule that says a
// priority goes before that, unless the registrant weighed both.
func Weigh(m ticket.Matrix, given ticket.Weight, d Decision) ticket.Weight {
	out := ticket.Weight{Urgency: given.Urgency, Impact: given.Impact}
	if out.Urgency == 0 && d.Urgency != nil {
		out.Urgency = d.Urgency.Rule.GetUrgency()
	}
	if out.Impact == 0 && d.Impact != nil {
		out.Impact = d.Impact.Rule.GetImpact()
	}
	out.Priority, out.PrioritySource = Suggested(m, given, out, d)
	switch {
	case given.Priority != 0 && given.Priority != out.Priority:
		out.Priority, out.PrioritySource = given.Priority, ticketv1.PrioritySource_PRIORITY_SOURCE_GIVEN
	case out.Priority == 0:
		out.Priority, out.PrioritySource = ticketv1.Priority_PRIORITY_P3, ticketv1.PrioritySource_PRIORITY_SOURCE_DEFAULT
	}
	return out
}

// Suggested is the priority that rules and matrix say of a ticket which would weigh so much,
// whatever the registrant gave, and which of them says it; unspecified for none.
func Suggested(m ticket.Matrix, given, weight ticket.Weight, d Decision) (ticketv1.Priority, ticketv1.PrioritySource) {
	weighed := given.Urgency != 0 && given.Impact != 0
	if d.Priority != nil && !weighed {
		return d.Priority.Rule.GetPriority(), ticketv1.PrioritySource_PRIORITY_SOURCE_RULE
	}
	if p := m.Of(weight.Urgency, weight.Impact); p != 0 {
		return p, ticketv1.PrioritySource_PRIORITY_SOURCE_MATRIX
	}
	return 0, 0
}

// matrixFaults names everything that is wrong with a matrix; the built-in one, for which none
// is given, has no faults.
func matrixFaults(cells []*ticketv1.PriorityCell) (out []*ticketv1.TriageFault) {
	if len(cells) == 0 {
		return nil
	}
	fault := func(field, en, zh string) {
		out = append(out, &ticketv1.TriageFault{Field: field, Text: &typev1.Text{En: en, Zh: zh}})
	}
	seen := ticket.Matrix{}
	for i, c := range cells {
		field := fmt.Sprintf("priority_matrix[%d]", i)
		u, p := ticket.UrgencyLabel(c.GetUrgency()), ticket.ImpactLabel(c.GetImpact())
		switch {
		case c.GetUrgency() == 0 || c.GetImpact() == 0 || c.GetPriority() == 0:
			fault(field, "it lacks urgency, impact or priority; give all three", "缺少紧急程度、影响范围或优先级；请全部填写")
		case seen.Of(c.GetUrgency(), c.GetImpact()) != 0:
			fault(field, fmt.Sprintf("an earlier cell is for urgency %s and impact %s too; leave one of them out", u.EN, p.EN),
				fmt.Sprintf("前面已填写紧急程度“%s”、影响范围“%s”；请删去其一", u.ZH, p.ZH))
		default:
			seen.Set(c)
		}
	}
	for _, c := range ticket.StandardMatrix() {
		if seen.Of(c.GetUrgency(), c.GetImpact()) == 0 {
			u, p := ticket.UrgencyLabel(c.GetUrgency()), ticket.ImpactLabel(c.GetImpact())
			fault("priority_matrix", fmt.Sprintf("there is no priority for urgency %s and impact %s; give one", u.EN, p.EN),
				fmt.Sprintf("紧急程度“%s”、影响范围“%s”没有对应的优先级；请补充", u.ZH, p.ZH))
		}
	}
	return out
}
