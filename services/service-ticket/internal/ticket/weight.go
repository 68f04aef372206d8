package ticket

import (
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Weight is the priority of a ticket, what it rests on, and what it may follow from.
type Weight struct {
	Urgency        ticketv1.Urgency
	Impact         ticketv1.Impact
	Priority       ticketv1.Priority
	PrioritySource ticketv1.PrioritySource
}

// Matrix is which priority urgency and impact give.
type Matrix map[pair]ticketv1.Priority

type pair struct {
	urgency ticketv1.Urgency
	impact  ticketv1.Impact
}

// StandardMatrix is the built-in one. It is the same at each call and may be changed by the
// caller.
func StandardMatrix() []*ticketv1.PriorityCell {
	var out []*ticketv1.PriorityCell
	for u := ticketv1.Urgency_URGENCY_HIGH; u <= ticketv1.Urgency_URGENCY_LOW; u++ {
		for i := ticketv1.Impact_IMPACT_HIGH; i <= ticketv1.Impact_IMPACT_LOW; i++ {
			// One step down either way is one priority less, and there is none below P4.
			p := min(ticketv1.Priority(int32(u)+int32(i)-1), ticketv1.Priority_PRIORITY_P4)
			out = append(out, &ticketv1.PriorityCell{Urgency: u, Impact: i, Priority: p})
		}
	}
	return out
}

// NewMatrix reads cells that have no faults; none stand for the built-in ones.
func NewMatrix(cells []*ticketv1.PriorityCell) Matrix {
	if len(cells) == 0 {
		cells = StandardMatrix()
	}
	out := make(Matrix, len(cells))
	for _, c := range cells {
		out.Set(c)
	}
	return out
}

// Set has a cell in the matrix, in place of another for the same two.
func (m Matrix) Set(c *ticketv1.PriorityCell) {
	m[pair{c.GetUrgency(), c.GetImpact()}] = c.GetPriority()
}

// Of is the priority that the two give, unspecified unless both are known.
func (m Matrix) Of(u ticketv1.Urgency, i ticketv1.Impact) ticketv1.Priority { return m[pair{u, i}] }

// Reweigh is the weight of a ticket after somebody settled it anew: what they do not say of
// urgency and impact stays, and the priority is the one they say, else what the two give;
// none where there is neither.
func (m Matrix) Reweigh(was, said Weight) Weight {
	out := Weight{Urgency: said.Urgency, Impact: said.Impact, Priority: said.Priority}
	if out.Urgency == 0 {
		out.Urgency = was.Urgency
	}
	if out.Impact == 0 {
		out.Impact = was.Impact
	}
	gives := m.Of(out.Urgency, out.Impact)
	byRule := was.PrioritySource == ticketv1.PrioritySource_PRIORITY_SOURCE_RULE && said.Priority == was.Priority
	switch {
	case said.Priority != 0 && byRule:
		out.PrioritySource = was.PrioritySource // whoever agrees with a rule gives nothing else
	case said.Priority == 0 || said.Priority == gives:
		out.Priority, out.PrioritySource = gives, ticketv1.PrioritySource_PRIORITY_SOURCE_MATRIX
	default:
		out.PrioritySource = ticketv1.PrioritySource_PRIORITY_SOURCE_GIVEN
	}
	return out
}

// CheckWeight refuses to settle a ticket for which there is no priority.
func CheckWeight(w Weight) error {
	if w.Priority != 0 {
		return nil
	}
	return rpcerr.Invalid("priority", rpcerr.T(
		"it is not given, and urgency (%[1]s) and impact (%[2]s) give none unless both are known; give the priority or what is missing",
		"未填写优先级，且紧急程度（%[1]s）与影响范围（%[2]s）未全部填写，无法得出优先级；请填写优先级或补全缺少的一项",
		UrgencyLabel(w.Urgency), ImpactLabel(w.Impact)))
}

// Overruled asks why a priority is other than what urgency and impact give.
func (m Matrix) Overruled(w Weight) error {
	gives := m.Of(w.Urgency, w.Impact)
	if gives == 0 || gives == w.Priority {
		return nil
	}
	return rpcerr.Invalid("reason", rpcerr.T(
		"urgency %[1]s and impact %[2]s give %[3]s; say why %[4]s is right",
		"紧急程度“%[1]s”、影响范围“%[2]s”对应 %[3]s；请说明改为 %[4]s 的理由",
		UrgencyLabel(w.Urgency), ImpactLabel(w.Impact), PriorityLabel(gives), PriorityLabel(w.Priority)))
}

// UrgencyLabel is an urgency as people read it.
func UrgencyLabel(u ticketv1.Urgency) rpcerr.Text { return level(int32(u)) }

// ImpactLabel is an impact as people read it.
func ImpactLabel(i ticketv1.Impact) rpcerr.Text { return level(int32(i)) }

// level is a step of urgency and impact, which go alike.
func level(n int32) rpcerr.Text {
	return []rpcerr.Text{
		rpcerr.T("not known", "未知"), rpcerr.T("high", "高"), rpcerr.T("medium", "中"), rpcerr.T("low", "低"),
	}[n]
}
