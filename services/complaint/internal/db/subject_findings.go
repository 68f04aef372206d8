package db

import "github.com/kefu-suite/kefu/services/internal/subject"

// findingTables are what is judged, found and settled of a complaint.
func findingTables() []subject.Table {
	return []subject.Table{
		{
			Name: "severity_policies", Reason: "rules of severity",
			Kept: "version id effective_time injury legal press key_customer amount_units amount_nanos repeat_days same_customer " +
				"same_product same_cause note create_time",
		},
		{Name: "complaint_causes", Reason: "the tree of causes", Kept: "id code parent_id name_zh name_en retired version"},
		{
			Name: "complaint_severities", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id",
			Kept: "complaint_id policy_version clauses texts_en texts_zh",
		},
		{
			Name: "complaint_repeats", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id basis earlier_id",
			Kept: "complaint_id basis earlier_id",
		},
		{
			Name: "complaint_investigations", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id round",
			Kept: "complaint_id round cause_id receive_time consequences currency loss_units loss_nanos investigator_staff_id " +
				"investigate_time",
			Blank: "findings reason", Empty: "questions answers",
		},
		{
			Name: "complaint_inspections", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id round",
			Kept: "complaint_id round quality inspector_staff_id inspect_time", Blank: "cause measures",
		},
		{
			Name: "complaint_executions", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id round",
			Kept: "complaint_id round currency amount_units amount_nanos executor_staff_id execute_time", Blank: "reference",
		},
		{
			Name: "complaint_responsibilities", Set: SetComplaint, Column: "complaint_id",
			Kept:  "id complaint_id kind department_id staff_id state objection_due proposer_actor determiner_actor version",
			Blank: "grounds",
		},
		{
			Name: "complaint_responsibility_steps", Set: SetComplaint, Column: "responsibility_id", Key: "responsibility_id version",
			Where: "responsibility_id IN (SELECT r.id FROM complaint_responsibilities r WHERE r.complaint_id = ANY ($1))",
			Kept:  "responsibility_id version state actor actor_staff_id occur_time", Blank: "reason",
		},
	}
}
