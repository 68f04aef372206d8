package complaint

import (
	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// ExecutionFacts are what decides whether a remedy may be carried out.
type ExecutionFacts struct {
	Remedy complaintv1.Remedy
	// ApproverActor approved it.
	ApproverActor string
	// Approved is what it may cost, with its currency.
	Approved Amount
	Currency string
	Executed bool
}

// Execution checks what a remedy cost in fact, the approved amount when given is nil.
func Execution(c Caller, f ExecutionFacts, given *money.Money) error {
	switch {
	case f.Remedy == complaintv1.Remedy_REMEDY_NONE:
		return refuse(ReasonNoRemedy, "", rpcerr.T(
			"No remedy was approved in this round, so there is none to carry out.", "本轮未批准任何补救措施，无可执行内容。"))
	case f.Executed:
		return refuse(ReasonRemedyExecuted, "", rpcerr.T(
			"That the remedy of this round was carried out is recorded already.", "本轮补救措施的执行情况已记录。"))
	case c.Actor == f.ApproverActor:
		return refuse(ReasonExecutorApproved, ClauseSecondPerson, rpcerr.T(
			"You approved this remedy, so somebody else carries it out.", "该补救措施由您批准，须由他人执行。"))
	case given == nil:
		return nil
	}
	if err := Money("amount", given); err != nil {
		return err
	}
	if given.GetCurrencyCode() != f.Currency {
		return rpcerr.Invalid("amount.currency_code", rpcerr.T(
			"it is %[1]q, but %[2]q was approved; give the amount in that currency, or leave it out where none was approved",
			"填写的币种为 %[1]q，而批准的是 %[2]q；请按批准的币种填写，未批准金额时请留空", given.GetCurrencyCode(), f.Currency))
	}
	if Sum(given).Compare(f.Approved) > 0 {
		return refuse(ReasonAboveApproved, ClauseApprovalLimits, rpcerr.T(
			"The remedy cost %[1]s and %[2]s was approved; propose the higher amount for approval first.",
			"补救措施实际金额 %[1]s 超过批准金额 %[2]s；请先就更高金额提请审批。", Sum(given), f.Approved)).at("amount")
	}
	return nil
}
