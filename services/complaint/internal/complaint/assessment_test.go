package complaint_test

import (
	"testing"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestTheWayOfAnAssessment(t *testing.T) {
	way := map[[2]complaint.Assessed]bool{
		{complaint.Unassessed, complaint.AssessedEntered}: true, {complaint.AssessedEntered, complaint.AssessedApproved}: true,
		{complaint.AssessedEntered, complaint.AssessedRefused}: true, {complaint.AssessedApproved, complaint.AssessedAppealed}: true,
		{complaint.AssessedAppealed, complaint.AssessedUpheld}: true, {complaint.AssessedAppealed, complaint.AssessedWithdrawn}: true,
	}
	for from := range complaintv1.AssessmentState_name {
		for to := range complaintv1.AssessmentState_name {
			if to == 0 {
				continue
			}
			step := [2]complaint.Assessed{complaint.Assessed(from), complaint.Assessed(to)}
			if got := reason(t, complaint.AssessNext(step[0], step[1])); (got == "") != way[step] || got != "" && got != "ASSESSMENT_WRONG_STATE " {
				t.Errorf("%v: %q", step, got)
			}
			if zh := chinese(complaint.AssessNext(step[0], step[1])); foreign.MatchString(zh) {
				t.Errorf("%v: %q is not all Chinese", step, zh)
			}
		}
	}
}

func TestAppealsFreezeAssessments(t *testing.T) {
	for s := range complaintv1.AssessmentState_name {
		for r := range complaintv1.ResponsibilityState_name {
			state, held := complaint.Assessed(s), complaint.Settled(r)
			want := (state == complaint.AssessedApproved || state == complaint.AssessedUpheld) &&
				(held == complaint.HeldDetermined || held == complaint.HeldFinal)
			if complaint.Counts(state, held) != want {
				t.Errorf("%v on %v counts: %v", state, held, !want)
			}
		}
	}
}

func TestWhatAnAssessmentRestsOn(t *testing.T) {
	loss := []complaintv1.Consequence{complaintv1.Consequence_CONSEQUENCE_LOSS}
	base := complaint.AssessFacts{
		Department: qc, Staff: bob, Responsibility: complaint.HeldDetermined, ResponsibleDepartment: qc, ResponsibleOf: bob,
		Cause: it, Consequences: loss,
	}
	const none, bare = "ASSESSMENT_WITHOUT_RESPONSIBILITY complaint.assessment/1", "ASSESSMENT_WITHOUT_CAUSE complaint.assessment/1"
	for name, c := range map[string]struct {
		change func(*complaint.AssessFacts)
		want   string
	}{
		"the person who is responsible": {func(*complaint.AssessFacts) {}, ""},
		"their department":              {func(f *complaint.AssessFacts) { f.Staff = uuid.Nil }, ""},
		"one of a department that is":   {func(f *complaint.AssessFacts) { f.ResponsibleOf = uuid.Nil }, ""},
		"final":                         {func(f *complaint.AssessFacts) { f.Responsibility = complaint.HeldFinal }, ""},
		"somebody else":                 {func(f *complaint.AssessFacts) { f.Staff = ann }, none},
		"another department":            {func(f *complaint.AssessFacts) { f.Department = it }, none},
		"nobody is responsible":         {func(f *complaint.AssessFacts) { f.ResponsibleDepartment = uuid.Nil }, none},
		"appealed":                      {func(f *complaint.AssessFacts) { f.Responsibility = complaint.HeldAppealed }, none},
		"proposed":                      {func(f *complaint.AssessFacts) { f.Responsibility = complaint.HeldProposed }, none},
		"no cause":                      {func(f *complaint.AssessFacts) { f.Cause = uuid.Nil }, bare},
		"no consequence":                {func(f *complaint.AssessFacts) { f.Consequences = nil }, bare},
	} {
		f := base
		c.change(&f)
		if got := reason(t, complaint.Assessable(f)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestNobodyAssessesTheirOwn(t *testing.T) {
	const concerned = "ASSESSMENT_CONCERNS_CALLER complaint.impartiality/1"
	for name, c := range map[string]struct {
		who        complaint.Caller
		department uuid.UUID
		want       string
	}{
		"the party":              {complaint.Caller{Staff: bob}, it, concerned},
		"one of the department":  {complaint.Caller{Staff: ann}, qc, concerned},
		"somebody else":          {complaint.Caller{Staff: ann}, it, ""},
		"unknown to a directory": {complaint.Caller{}, uuid.Nil, ""},
	} {
		if got := reason(t, complaint.Assessor(c.who, c.department, bob, qc)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
