package complaint

import (
	"strings"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Assessed is how far an assessment is settled.
type Assessed = complaintv1.AssessmentState

// The states of an assessment. Unassessed is before it was entered.
const (
	Unassessed        = complaintv1.AssessmentState_ASSESSMENT_STATE_UNSPECIFIED
	AssessedEntered   = complaintv1.AssessmentState_ASSESSMENT_STATE_ENTERED
	AssessedApproved  = complaintv1.AssessmentState_ASSESSMENT_STATE_APPROVED
	AssessedRefused   = complaintv1.AssessmentState_ASSESSMENT_STATE_REFUSED
	AssessedAppealed  = complaintv1.AssessmentState_ASSESSMENT_STATE_APPEALED
	AssessedUpheld    = complaintv1.AssessmentState_ASSESSMENT_STATE_UPHELD
	AssessedWithdrawn = complaintv1.AssessmentState_ASSESSMENT_STATE_WITHDRAWN
)

// Counts tells whether an assessment is in effect: an appeal against it, or against the
// responsibility it rests on, freezes it.
func Counts(s Assessed, responsibility Settled) bool {
	return (s == AssessedApproved || s == AssessedUpheld) && InEffect(responsibility)
}

// AssessNext says whether a step leads from one state to another, or refuses it.
func AssessNext(from, to Assessed) error {
	start := map[Assessed]Assessed{
		AssessedEntered: Unassessed, AssessedApproved: AssessedEntered, AssessedRefused: AssessedEntered,
		AssessedAppealed: AssessedApproved, AssessedUpheld: AssessedAppealed, AssessedWithdrawn: AssessedAppealed,
	}[to]
	if from == start {
		return nil
	}
	return refuse(ReasonAssessmentState, "", rpcerr.T(
		"The assessment is %[1]s; it becomes %[2]s from %[3]s only.", "考核当前为“%[1]s”；只能由“%[3]s”变为“%[2]s”。",
		assessedLabel(from), assessedLabel(to), assessedLabel(start))).
		with("state", AssessedName(from)).with("allowed_states", AssessedName(start))
}

// AssessedName is the state as people write it: `upheld`.
func AssessedName(s Assessed) string {
	if s == Unassessed {
		return "not entered"
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "ASSESSMENT_STATE_"))
}

func assessedLabel(s Assessed) rpcerr.Text {
	return rpcerr.Text{EN: AssessedName(s), ZH: map[Assessed]string{
		Unassessed: "未录入", AssessedEntered: "已录入", AssessedApproved: "已批准", AssessedRefused: "已驳回",
		AssessedAppealed: "申诉中", AssessedUpheld: "维持", AssessedWithdrawn: "已撤销",
	}[s]}
}

// AssessFacts are what decides whether somebody may be assessed.
type AssessFacts struct {
	// Department and Staff of whom is assessed; no staff where it is the department.
	Department, Staff uuid.UUID
	// Responsibility is how far it is settled who is responsible, with the department and the
	// person it names.
	Responsibility                       Settled
	ResponsibleDepartment, ResponsibleOf uuid.UUID
	// Cause and Consequences of the last investigation.
	Cause        uuid.UUID
	Consequences []complaintv1.Consequence
}

// Assessable demands what an assessment rests on and cites: a responsibility in effect that is
// the party's, a root cause and a consequence. A department answers for its people; of its people
// one is assessed who is responsible, or anybody where the department as a whole is.
func Assessable(f AssessFacts) error {
	theirs := f.Department != uuid.Nil && f.Department == f.ResponsibleDepartment &&
		(f.Staff == uuid.Nil || f.ResponsibleOf == uuid.Nil || f.Staff == f.ResponsibleOf)
	if !InEffect(f.Responsibility) || !theirs {
		return refuse(ReasonWithoutResponsibility, ClauseAssessment, rpcerr.T(
			"No responsibility of this department or person for the complaint is in effect; it is determined first.",
			"该部门或人员对此投诉尚无生效的责任认定；请先认定责任。"))
	}
	if f.Cause == uuid.Nil || len(f.Consequences) == 0 {
		return refuse(ReasonWithoutCause, ClauseAssessment, rpcerr.T(
			"An assessment cites the root cause and the consequence, and the investigation has not found both.",
			"考核须引用根本原因和后果，而调查尚未同时查明。"))
	}
	return nil
}

// Assessor refuses who is assessed, and whoever belongs to the department that is, or is the
// department of the person.
func Assessor(c Caller, department, party, assessed uuid.UUID) error {
	if c.Staff != uuid.Nil && c.Staff == party || assessed != uuid.Nil && department == assessed {
		return refuse(ReasonAssessmentConcerns, ClauseImpartial, rpcerr.T(
			"The assessment concerns you or your department, so somebody else must take this step; the party may appeal.",
			"该考核涉及您本人或您所在部门，此步骤须由他人进行；被考核方可以申诉。"))
	}
	return nil
}
