package complaint

import (
	"slices"
	"time"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Caller is who acts. Staff is zero where the directory does not know them.
type Caller struct {
	Actor string
	Staff uuid.UUID
	// What the token's roles make of them.
	ServiceSupervisor, ServiceManager, CompanyManager bool
}

// Impartial refuses whoever is complained about.
func Impartial(c Caller, accused uuid.UUID) error {
	if accused == uuid.Nil || c.Staff != accused {
		return nil
	}
	return refuse(ReasonConcernsCaller, ClauseImpartial, rpcerr.T(
		"The complaint is about you, so somebody else must take this step.",
		"该投诉涉及您本人，此步骤必须由他人处理。"))
}

// Assigner allows the head of the responsible department and service managers.
func Assigner(c Caller, head uuid.UUID) error {
	if c.ServiceManager || head != uuid.Nil && c.Staff == head {
		return nil
	}
	return refuse(ReasonNotHead, ClauseAssigner, rpcerr.T(
		"The head of the responsible department or a service manager assigns the complaint.",
		"投诉由责任部门负责人或客户服务经理指派。"))
}

// HandlerFacts are what decides whether somebody may handle a round.
type HandlerFacts struct {
	Handler, HandlerDepartment uuid.UUID
	// Department responsible; zero where an imported complaint has none.
	Department, Accused uuid.UUID
	Round               int32
	// EarlierHandlers are those of the rounds before this one.
	EarlierHandlers []uuid.UUID
}

// Handler refuses a handler of another department, the one complained about, and from
// a certain round on whoever handled an earlier one.
func Handler(f HandlerFacts, l Limits) error {
	const field = "handler_staff_id"
	switch {
	case f.Accused != uuid.Nil && f.Handler == f.Accused:
		return refuse(ReasonHandlerConcerned, ClauseImpartial, rpcerr.T(
			"The complaint is about this member of staff; name somebody else.",
			"该投诉涉及此员工；请指派其他人。")).at(field)
	case f.Department != uuid.Nil && f.HandlerDepartment != f.Department:
		return refuse(ReasonHandlerElsewhere, ClauseHandler, rpcerr.T(
			"The handler belongs to another department; name somebody of the responsible department %[1]s.",
			"处理人属于其他部门；请指派责任部门 %[1]s 的人员。", f.Department)).at(field)
	case f.Round >= l.AnotherHandlerRound && slices.Contains(f.EarlierHandlers, f.Handler):
		return refuse(ReasonHandlerEarlierRound, ClauseAnotherHandler, rpcerr.T(
			"From round %[1]d on somebody handles who has handled no earlier round; this is round %[2]d.",
			"自第 %[1]d 轮起须由未处理过此前各轮的人员处理；当前为第 %[2]d 轮。", l.AnotherHandlerRound, f.Round)).at(field)
	}
	return nil
}

// Handling allows the round's handler and service managers.
func Handling(c Caller, handler uuid.UUID) error {
	if c.ServiceManager || handler != uuid.Nil && c.Staff == handler {
		return nil
	}
	return refuse(ReasonNotHandler, ClauseHandler, rpcerr.T(
		"The handler of this round takes this step, or a service manager.",
		"此步骤由本轮处理人或客户服务经理进行。"))
}

// Try is one logged contact.
type Try struct {
	Channel typev1.Channel
	TwoWay  bool
	At      time.Time
}

// Reached tells whether contacts since the assignment count as a contact with the
// customer, and since when: one went both ways, or enough attempts used enough channels,
// whatever the order they were logged in.
func Reached(tries []Try, l Limits) (at time.Time, ok bool) {
	tries = slices.SortedStableFunc(slices.Values(tries), func(a, b Try) int { return a.At.Compare(b.At) })
	channels := map[typev1.Channel]bool{}
	for i, t := range tries {
		channels[t.Channel] = true
		if t.TwoWay || i+1 >= l.ContactAttempts && len(channels) >= l.ContactChannels {
			return t.At, true
		}
	}
	return time.Time{}, false
}

// ApprovalFacts are what decides who may approve.
type ApprovalFacts struct {
	ProposerActor string
	Proposer      uuid.UUID
	// Function of the responsible department.
	Function ticketv1.DepartmentFunction
	// Amount of the remedy; zero when it costs nothing.
	Amount   Amount
	Decision complaintv1.Decision
}

// Approval refuses who proposed, anybody but the company manager when customer service
// is concerned, and amounts above the approver's limit. Returning a proposal spends
// nothing and has no limit.
func Approval(c Caller, f ApprovalFacts, l Limits) error {
	if c.Actor == f.ProposerActor || c.Staff != uuid.Nil && c.Staff == f.Proposer {
		return refuse(ReasonApproverProposed, ClauseSecondPerson, rpcerr.T(
			"You proposed this solution, so somebody else decides on it.",
			"该方案由您提出，须由他人审批。"))
	}
	if f.Function == ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE && !c.CompanyManager {
		return refuse(ReasonApproverConcerned, ClauseServiceDecision, rpcerr.T(
			"The customer service department is responsible, so the company manager decides.",
			"责任部门为客户服务部，须由公司经理审批。"))
	}
	if f.Decision != complaintv1.Decision_DECISION_APPROVED || c.CompanyManager {
		return nil
	}
	limit := Amount{}
	switch {
	case c.ServiceManager:
		limit = l.ManagerAmount
	case c.ServiceSupervisor:
		limit = l.SupervisorAmount
	}
	if f.Amount.Compare(limit) <= 0 {
		return nil
	}
	return refuse(ReasonAmountAboveLimit, ClauseApprovalLimits, rpcerr.T(
		"The remedy costs %[1]s and you may approve up to %[2]s; a service manager approves up to %[3]s, the company manager any amount.",
		"补救措施金额为 %[1]s，您的审批限额为 %[2]s；客户服务经理限额为 %[3]s，公司经理不限。",
		f.Amount, limit, l.ManagerAmount)).with("limit", limit.String())
}

// SupervisorDecides tells whether a service supervisor may approve a proposal that is not
// their own.
func SupervisorDecides(function ticketv1.DepartmentFunction, amount Amount, l Limits) bool {
	supervisor := Caller{Actor: "a supervisor", ServiceSupervisor: true}
	return Approval(supervisor, ApprovalFacts{
		Function: function, Amount: amount, Decision: complaintv1.Decision_DECISION_APPROVED,
	}, l) == nil
}

// Answered refuses a second answer in a round.
func Answered(present complaintv1.Satisfaction) error {
	if present == complaintv1.Satisfaction_SATISFACTION_UNSPECIFIED {
		return nil
	}
	return refuse(ReasonAnswerRecorded, ClauseFirstAnswer, rpcerr.T(
		"This round has the customer's answer already, and the first one stands.",
		"本轮已记录客户答复，以首次答复为准。"))
}

// Closing says how a complaint ends, or why it cannot: by a satisfied answer, or over an
// unsatisfied one by the company manager, after enough rounds and with a reason.
func Closing(c Caller, answer complaintv1.Satisfaction, round int32, reason string, l Limits) (complaintv1.Outcome, error) {
	switch answer {
	case complaintv1.Satisfaction_SATISFACTION_SATISFIED:
		return complaintv1.Outcome_OUTCOME_SATISFIED, nil
	case complaintv1.Satisfaction_SATISFACTION_UNSATISFIED:
	default:
		return 0, refuse(ReasonAnswerMissing, ClauseClosing, rpcerr.T(
			"The customer has not said yet whether they are satisfied; record the answer first.",
			"客户尚未答复是否满意；请先记录答复。"))
	}
	if !c.CompanyManager || round < l.EndRounds {
		return 0, refuse(ReasonAnswerUnsatisfied, ClauseEnding, rpcerr.T(
			"The customer is not satisfied: open the next round. After %[1]d rounds the company manager may end it with a reason; this is round %[2]d.",
			"客户不满意：请进入下一轮。满 %[1]d 轮后公司经理可说明理由予以终结；当前为第 %[2]d 轮。", l.EndRounds, round))
	}
	if reason == "" {
		return 0, rpcerr.Invalid("reason", rpcerr.T(
			"it is empty; say why the complaint ends although the customer is not satisfied",
			"不能为空；请说明在客户不满意的情况下终结投诉的理由"))
	}
	return complaintv1.Outcome_OUTCOME_ENDED_UNSATISFIED, nil
}

// NextRound refuses another round without an unsatisfied answer.
func NextRound(answer complaintv1.Satisfaction) error {
	switch answer {
	case complaintv1.Satisfaction_SATISFACTION_UNSATISFIED:
		return nil
	case complaintv1.Satisfaction_SATISFACTION_SATISFIED:
		return refuse(ReasonAnswerSatisfied, ClauseNextRound, rpcerr.T(
			"The customer is satisfied with this round; close the complaint.",
			"客户对本轮结果满意；请结案。"))
	}
	return refuse(ReasonAnswerMissing, ClauseNextRound, rpcerr.T(
		"The customer has not answered this round; a next one needs an unsatisfied answer.",
		"客户尚未答复本轮结果；进入下一轮须有不满意的答复。"))
}

// Score reads a survey's score of 1 to 5; ok is false when nothing was rated.
func Score(score int32, l Limits) (answer complaintv1.Satisfaction, ok bool) {
	switch {
	case score <= 0:
		return 0, false
	case score <= l.LowScore:
		return complaintv1.Satisfaction_SATISFACTION_UNSATISFIED, true
	}
	return complaintv1.Satisfaction_SATISFACTION_SATISFIED, true
}
