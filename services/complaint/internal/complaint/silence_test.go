package complaint_test

import (
	"errors"
	"testing"
	"time"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestSilenceRemindsTwiceAndEnds(t *testing.T) {
	l := limits()
	for step, want := range map[int32]struct {
		days int
		end  bool
	}{1: {2, false}, 2: {5, false}, 3: {10, true}, 4: {10, true}, 0: {10, true}} {
		if days, end := l.Silence(step); days != want.days || end != want.end {
			t.Errorf("step %d: %d, %v; want %d, %v", step, days, end, want.days, want.end)
		}
	}
}

func TestReopening(t *testing.T) {
	end, l := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), limits()
	for name, c := range map[string]struct {
		outcome complaintv1.Outcome
		after   time.Duration
		want    string
	}{
		"at once":               {complaintv1.Outcome_OUTCOME_NO_ANSWER, 0, ""},
		"on the last instant":   {complaintv1.Outcome_OUTCOME_NO_ANSWER, 30 * 24 * time.Hour, ""},
		"after it":              {complaintv1.Outcome_OUTCOME_NO_ANSWER, 30*24*time.Hour + 1, complaint.ReasonReopenLate},
		"satisfied":             {complaintv1.Outcome_OUTCOME_SATISFIED, 0, complaint.ReasonNotReopenable},
		"ended over the answer": {complaintv1.Outcome_OUTCOME_ENDED_UNSATISFIED, 0, complaint.ReasonNotReopenable},
	} {
		err := complaint.Reopening(c.outcome, end, end.Add(c.after), l)
		var r *complaint.Refusal
		if got := errors.As(err, &r); got != (c.want != "") || got && (r.Reason != c.want || r.Clause != complaint.ClauseReopening) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestStagesTellNothingOfTheInside(t *testing.T) {
	in := complaintv1.ComplaintStage_COMPLAINT_STAGE_IN_PROGRESS
	for s, want := range map[complaint.State]complaintv1.ComplaintStage{
		complaint.None: 0, complaint.Received: complaintv1.ComplaintStage_COMPLAINT_STAGE_RECEIVED, complaint.Submitted: in, complaint.Reviewed: in, complaint.Assigned: in,
		complaint.Contacted: in, complaint.Proposed: in, complaint.Approved: in, complaint.Told: complaintv1.ComplaintStage_COMPLAINT_STAGE_ANSWERED,
		complaint.Closed: complaintv1.ComplaintStage_COMPLAINT_STAGE_CLOSED,
	} {
		if got := complaint.Stage(s); got != want {
			t.Errorf("%s: %s, want %s", complaint.StateName(s), got, want)
		}
	}
}
