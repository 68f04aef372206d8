package complaint

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Settled is how far it is settled who is responsible for a complaint.
type Settled = complaintv1.ResponsibilityState

// The states of a responsibility. Unsettled is before the first proposal.
const (
	Unsettled      = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_UNSPECIFIED
	HeldProposed   = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_PROPOSED
	HeldObjected   = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_OBJECTED
	HeldDetermined = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_DETERMINED
	HeldAppealed   = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_APPEALED
	HeldFinal      = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_FINAL
	HeldNoLonger   = complaintv1.ResponsibilityState_RESPONSIBILITY_STATE_OVERTURNED
)

// InEffect tells whether a responsibility binds: an appeal freezes it.
func InEffect(s Settled) bool { return s == HeldDetermined || s == HeldFinal }

// SettleNext says where a step to a state leads from another one, or refuses it.
func SettleNext(from, to Settled) error {
	starts := map[Settled][]Settled{
		HeldProposed: {Unsettled, HeldNoLonger}, HeldObjected: {HeldProposed}, HeldDetermined: {HeldProposed, HeldObjected},
		HeldAppealed: {HeldDetermined}, HeldFinal: {HeldAppealed}, HeldNoLonger: {HeldProposed, HeldObjected, HeldAppealed},
	}[to]
	if slices.Contains(starts, from) {
		return nil
	}
	names, labels := make([]string, 0, len(starts)), make([]rpcerr.Text, 0, len(starts))
	for _, s := range starts {
		names, labels = append(names, SettledName(s)), append(labels, settledLabel(s))
	}
	return refuse(ReasonResponsibilityState, "", rpcerr.T(
		"The responsibility is %[1]s; it becomes %[2]s from %[3]s only.", "责任认定当前为“%[1]s”；只能由“%[3]s”变为“%[2]s”。",
		settledLabel(from), settledLabel(to), rpcerr.List(labels...))).
		with("state", SettledName(from)).with("allowed_states", strings.Join(names, ","))
}

// SettledName is the state as people write it: `determined`.
func SettledName(s Settled) string {
	if s == Unsettled {
		return "not proposed"
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "RESPONSIBILITY_STATE_"))
}

func settledLabel(s Settled) rpcerr.Text {
	return rpcerr.Text{EN: SettledName(s), ZH: map[Settled]string{
		Unsettled: "未提出", HeldProposed: "已提出", HeldObjected: "有异议", HeldDetermined: "已认定", HeldAppealed: "申诉中",
		HeldFinal: "最终认定", HeldNoLonger: "已推翻",
	}[s]}
}

// HeldFacts are what decides who may take a step of a responsibility.
type HeldFacts struct {
	// Party is the person held responsible, or the head of the department that is; zero where
	// nobody of the company is.
	Party uuid.UUID
	// Function of the department that is responsible, or is that of the person who is.
	Function ticketv1.DepartmentFunction
	// Due is the end of the party's window; zero for none.
	Due time.Time
}

// ProposesResponsibility allows a quality inspector where a complaint is of quality, else the
// round's handler.
func ProposesResponsibility(c Caller, inspector bool, q complaintv1.Quality, handler uuid.UUID) error {
	if q == complaintv1.Quality_QUALITY_QUALITY && inspector || q != complaintv1.Quality_QUALITY_QUALITY && Handling(c, handler) == nil {
		return nil
	}
	return refuse(ReasonNotProposer, ClauseResponsibility, rpcerr.T(
		"Responsibility is proposed by quality control where the complaint is of quality, else by the handler of its round.",
		"质量投诉的责任由质检部提出，其他投诉由本轮处理人提出。"))
}

// Unconcerned refuses the party.
func Unconcerned(c Caller, f HeldFacts) error {
	if f.Party == uuid.Nil || c.Staff != f.Party {
		return nil
	}
	return refuse(ReasonResponsibilityConcerns, ClauseImpartial, rpcerr.T(
		"You are the one held responsible, so somebody else must take this step; you may object or appeal.",
		"拟认定的责任方为您本人，此步骤须由他人进行；您可以提出异议或申诉。"))
}

// Answering allows the party, before the end of their window.
func Answering(c Caller, f HeldFacts, now time.Time) error {
	if f.Party == uuid.Nil || c.Staff != f.Party {
		return refuse(ReasonNotParty, ClauseObjection, rpcerr.T(
			"The person, or the head of the department, that is held responsible takes this step.",
			"此步骤由被认定责任的人员或部门负责人进行。"))
	}
	if now.Before(f.Due) {
		return nil
	}
	return refuse(ReasonObjectionLate, ClauseObjection, rpcerr.T(
		"The time to object or appeal ended at %[1]s.", "异议或申诉期限已于 %[1]s 截止。", f.Due.UTC().Format(time.RFC3339)))
}

// Determining allows the sales manager, or the company manager where sales and supply is itself
// concerned, once the party has objected or let the window pass.
func Determining(c Caller, f HeldFacts, from Settled, now time.Time) error {
	if f.Function == ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY && !c.CompanyManager {
		return refuse(ReasonDeterminerConcerned, ClauseResponsibility, rpcerr.T(
			"Sales and supply is itself concerned, so the company manager determines.", "供销部自身涉及责任，须由公司经理认定。"))
	}
	if from == HeldProposed && now.Before(f.Due) {
		return refuse(ReasonWindowOpen, ClauseObjection, rpcerr.T(
			"The party may object until %[1]s; determine after that, or once they objected.",
			"责任方可在 %[1]s 前提出异议；请在期满或其提出异议后认定。", f.Due.UTC().Format(time.RFC3339)))
	}
	return nil
}

// Holds checks that a responsibility names what its kind needs and nothing else.
func Holds(r *complaintv1.Responsibility) error {
	for _, f := range []struct {
		field, id string
		needed    bool
		allowed   bool
	}{
		{"staff_id", r.GetStaffId(), r.GetKind() == complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_PERSON, false},
		{
			"department_id", r.GetDepartmentId(), r.GetKind() == complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_DEPARTMENT,
			r.GetKind() == complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_PERSON,
		},
	} {
		switch {
		case f.needed && f.id == "":
			return rpcerr.Invalid("responsibility."+f.field, rpcerr.T(
				"it is empty; this kind of responsibility names it", "不能为空；该类责任须填写"))
		case !f.needed && !f.allowed && f.id != "":
			return rpcerr.Invalid("responsibility."+f.field, rpcerr.T(
				"it is given though this kind of responsibility has none; leave it out", "该类责任不应填写；请留空"))
		}
	}
	return nil
}
