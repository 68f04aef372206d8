package organisation

import (
	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Way is where something goes that is handed over.
type Way = ticketv1.HandoverWay

// HandoverWays are the ways to try one after the other; standIn tells that somebody stands in for
// whoever hands over.
func HandoverWays(asked Way, standIn bool) []Way {
	switch {
	case asked != ticketv1.HandoverWay_HANDOVER_WAY_UNSPECIFIED:
		return []Way{asked}
	case standIn:
		return []Way{ticketv1.HandoverWay_HANDOVER_WAY_SUBSTITUTE, ticketv1.HandoverWay_HANDOVER_WAY_RULES, ticketv1.HandoverWay_HANDOVER_WAY_QUEUE}
	}
	return []Way{ticketv1.HandoverWay_HANDOVER_WAY_RULES, ticketv1.HandoverWay_HANDOVER_WAY_QUEUE}
}

// CheckHandover refuses a person without the way to one, the way without a person, and the person
// who hands over.
func CheckHandover(from uuid.UUID, way Way, to uuid.UUID) error {
	switch byName := way == ticketv1.HandoverWay_HANDOVER_WAY_PERSON; {
	case byName && to == uuid.Nil:
		return rpcerr.Invalid("to_staff_id", rpcerr.T(
			"it is missing; with HANDOVER_WAY_PERSON give the id of who takes over", "缺少该值；way 为 HANDOVER_WAY_PERSON 时请填写接手人员的 id"))
	case !byName && to != uuid.Nil:
		return rpcerr.Invalid("to_staff_id", rpcerr.T(
			"%[1]s is given with %[2]s; give way HANDOVER_WAY_PERSON, or leave the person out",
			"填写了 %[1]s，但 way 为 %[2]s；请将 way 改为 HANDOVER_WAY_PERSON，或不填写接手人员", to, way))
	case byName && to == from:
		return back(from)
	}
	return nil
}

func back(from uuid.UUID) error {
	return rpcerr.Invalid("to_staff_id", rpcerr.T(
		"it leads back to %[1]s, who hands over, or stands in for the named person; name somebody else",
		"接手人员即为交接人 %[1]s 本人，或当前由其代理；请另选人员", from))
}

// NoSubstitute tells that nobody stands in for somebody now.
func NoSubstitute(from uuid.UUID) error {
	return rpcerr.WrongState("HANDOVER_NO_SUBSTITUTE", rpcerr.T(
		"Nobody stands in for %[1]s now; create a substitution first, or hand over another way.",
		"当前没有人代理 %[1]s；请先设置代理人，或选择其他交接方式。", from)).With("staff_id", from.String())
}

// ReasonNotInHands is the reason of what NotInHands tells.
const ReasonNotInHands = "HANDOVER_NOT_IN_HANDS"

// NotInHands tells that a ticket or task is not, or no longer, in somebody's hands. what is its
// number, or its id.
func NotInHands(what string, from uuid.UUID) error {
	return rpcerr.WrongState(ReasonNotInHands, rpcerr.T(
		"%[1]s is not in the hands of %[2]s; look at the preview for what is.",
		"%[1]s 不在 %[2]s 手中；请在交接预览中查看其在手工作。", what, from)).With("staff_id", from.String())
}

// CheckTakeOver refuses to give something by name to somebody who is away or lacks what it asks
// for. How much they have in hand, and whether it is their shift, whoever chose them has weighed.
func CheckTakeOver(p *Person) error {
	away := p.Status == ticketv1.StaffStatus_STAFF_STATUS_AWAY || p.Status == ticketv1.StaffStatus_STAFF_STATUS_LEFT || p.Absent
	var why []rpcerr.Text
	for _, o := range []struct {
		is   bool
		text rpcerr.Text
	}{
		{away, rpcerr.T("they are away", "不在岗")},
		{!p.Skilled && !p.Dedicated, rpcerr.T("they lack a skill that it asks for", "缺少所需技能")},
		{!p.Speaks && !p.Dedicated, rpcerr.T("they do not speak its language", "不掌握所需语言")},
	} {
		if o.is {
			why = append(why, o.text)
		}
	}
	if len(why) == 0 {
		return nil
	}
	return rpcerr.WrongState("HANDOVER_UNFIT", rpcerr.T(
		"%[1]s cannot take it over: %[2]s; choose somebody else, or hand over by the rules.",
		"%[1]s 不能接手：%[2]s；请另选人员，或按分配规则交接。", p.ID, rpcerr.List(why...))).With("staff_id", p.ID.String())
}
