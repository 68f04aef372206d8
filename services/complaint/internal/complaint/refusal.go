package complaint

import (
	"maps"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Reasons of refusals, stable for callers.
const (
	ReasonWrongState             = "COMPLAINT_WRONG_STATE"
	ReasonConcernsCaller         = "COMPLAINT_CONCERNS_CALLER"
	ReasonSeverityTooLow         = "SEVERITY_TOO_LOW"
	ReasonNotHead                = "NOT_HEAD_OF_DEPARTMENT"
	ReasonHandlerElsewhere       = "HANDLER_OF_OTHER_DEPARTMENT"
	ReasonHandlerConcerned       = "HANDLER_CONCERNED"
	ReasonHandlerEarlierRound    = "HANDLER_OF_EARLIER_ROUND"
	ReasonNotHandler             = "NOT_THE_HANDLER"
	ReasonApproverProposed       = "APPROVER_PROPOSED"
	ReasonApproverConcerned      = "APPROVER_CONCERNED"
	ReasonAmountAboveLimit       = "AMOUNT_ABOVE_LIMIT"
	ReasonAnswerRecorded         = "ANSWER_RECORDED"
	ReasonAnswerMissing          = "ANSWER_MISSING"
	ReasonAnswerUnsatisfied      = "ANSWER_UNSATISFIED"
	ReasonAnswerSatisfied        = "ANSWER_SATISFIED"
	ReasonTimesOutOfOrder        = "COMPLAINT_TIMES_OUT_OF_ORDER"
	ReasonQualityUnconfirmed     = "QUALITY_NOT_CONFIRMED"
	ReasonInspectorHandles       = "INSPECTOR_HANDLES"
	ReasonNoRemedy               = "NO_REMEDY"
	ReasonRemedyExecuted         = "REMEDY_EXECUTED"
	ReasonExecutorApproved       = "EXECUTOR_APPROVED"
	ReasonAboveApproved          = "EXECUTION_ABOVE_APPROVED"
	ReasonNotProposer            = "NOT_THE_PROPOSER"
	ReasonNotParty               = "NOT_THE_PARTY"
	ReasonObjectionLate          = "OBJECTION_TOO_LATE"
	ReasonWindowOpen             = "OBJECTION_WINDOW_OPEN"
	ReasonDeterminerConcerned    = "DETERMINER_CONCERNED"
	ReasonResponsibilityConcerns = "RESPONSIBILITY_CONCERNS_CALLER"
	ReasonResponsibilityState    = "RESPONSIBILITY_WRONG_STATE"
	ReasonAssessmentState        = "ASSESSMENT_WRONG_STATE"
	ReasonAssessmentConcerns     = "ASSESSMENT_CONCERNS_CALLER"
	ReasonWithoutResponsibility  = "ASSESSMENT_WITHOUT_RESPONSIBILITY"
	ReasonWithoutCause           = "ASSESSMENT_WITHOUT_CAUSE"
	ReasonNotReopenable          = "COMPLAINT_NOT_REOPENABLE"
	ReasonReopenLate             = "REOPEN_TOO_LATE"
	ReasonStateIncomplete        = "COMPLAINT_STATE_INCOMPLETE"
)

// Clauses of the complaint policy that a refusal names.
const (
	ClauseImpartial       = "complaint.impartiality/1"
	ClauseAssigner        = "complaint.assigner/1"
	ClauseHandler         = "complaint.handler/1"
	ClauseAnotherHandler  = "complaint.another-handler/1"
	ClauseSecondPerson    = "complaint.second-person/1"
	ClauseApprovalLimits  = "complaint.approval-limits/1"
	ClauseServiceDecision = "complaint.service-concerned/1"
	ClauseFirstAnswer     = "complaint.first-answer/1"
	ClauseClosing         = "complaint.closing/1"
	ClauseEnding          = "complaint.ending-unsatisfied/1"
	ClauseQuality         = "complaint.quality-confirmation/1"
	ClauseInspector       = "complaint.inspector/1"
	ClauseResponsibility  = "complaint.responsibility/1"
	ClauseObjection       = "complaint.objection/1"
	ClauseAssessment      = "complaint.assessment/1"
	ClauseReopening       = "complaint.reopening/1"
	ClauseNextRound       = "complaint.next-round/1"
)

// Refusal is a rule's no: a stable reason, the clause of the policy where one decided,
// and a text that says what would be right.
type Refusal struct {
	Reason, Clause string
	// Field is the request's field at fault, empty when it is the complaint as a whole.
	Field string
	Text  rpcerr.Text
	Facts map[string]string
}

// Error gives reason and text in English.
func (r *Refusal) Error() string { return r.Reason + ": " + r.Text.EN }

func refuse(reason, clause string, text rpcerr.Text) *Refusal {
	return &Refusal{Reason: reason, Clause: clause, Text: text}
}

func (r *Refusal) with(key, value string) *Refusal {
	c := *r
	c.Facts = maps.Clone(r.Facts)
	if c.Facts == nil {
		c.Facts = map[string]string{}
	}
	c.Facts[key] = value
	return &c
}

func (r *Refusal) at(field string) *Refusal {
	c := *r
	c.Field = field
	return &c
}
