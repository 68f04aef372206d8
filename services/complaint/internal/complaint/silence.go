package complaint

import (
	"time"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Silence says in how many working days after the telling the step comes, from 1, to a customer
// who does not answer, and whether it is the end. The steps before the end are reminders.
func (l Limits) Silence(step int32) (days int, end bool) {
	if step >= 1 && int(step) <= len(l.ReminderDays) {
		return l.ReminderDays[step-1], false
	}
	return l.NoAnswerDays, true
}

// checkSilence tells what makes no sense about reminders and the end.
func (l Limits) checkSilence() (fault string) {
	last := 0
	for _, days := range l.ReminderDays {
		if days <= last {
			return "reminders come on later and later working days from the first on"
		}
		last = days
	}
	switch {
	case l.NoAnswerDays <= last || l.NoAnswerDays > 250:
		return "a complaint ends without an answer after the last reminder and within 250 working days"
	case l.ReopenDays < 0 || l.ReopenDays > 3650:
		return "a complaint without an answer is reopened within 0 to 3650 days"
	}
	return ""
}

// Reopening allows to take up again what ended without an answer, for some days.
func Reopening(outcome complaintv1.Outcome, closed, now time.Time, l Limits) error {
	if outcome != complaintv1.Outcome_OUTCOME_NO_ANSWER {
		return refuse(ReasonNotReopenable, ClauseReopening, rpcerr.T(
			"Only a complaint that ended without an answer is reopened; register a new one, which is linked with this one.",
			"只有因客户未答复而结束的投诉可以重新受理；请登记新的投诉，系统会与本投诉关联。"))
	}
	last := closed.Add(time.Duration(l.ReopenDays) * 24 * time.Hour)
	if now.After(last) {
		return refuse(ReasonReopenLate, ClauseReopening, rpcerr.T(
			"The complaint could be reopened until %[1]s, %[2]d days after its end; register a new one.",
			"该投诉可在结束后 %[2]d 天内（截至 %[1]s）重新受理；请登记新的投诉。", last.UTC().Format(time.RFC3339), l.ReopenDays))
	}
	return nil
}

// Stage is where a complaint stands for its customer.
func Stage(s State) complaintv1.ComplaintStage {
	switch s {
	case None:
		return complaintv1.ComplaintStage_COMPLAINT_STAGE_UNSPECIFIED
	case Received:
		return complaintv1.ComplaintStage_COMPLAINT_STAGE_RECEIVED
	case Told:
		return complaintv1.ComplaintStage_COMPLAINT_STAGE_ANSWERED
	case Closed:
		return complaintv1.ComplaintStage_COMPLAINT_STAGE_CLOSED
	}
	return complaintv1.ComplaintStage_COMPLAINT_STAGE_IN_PROGRESS
}
