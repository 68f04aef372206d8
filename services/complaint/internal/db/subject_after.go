package db

import "github.com/kefu-suite/kefu/services/internal/subject"

// afterTables are what customers hold of their complaint and what follows a result.
func afterTables() []subject.Table {
	return []subject.Table{
		{Name: "complaint_receivers", Reason: "who receives complaints", Kept: "id receiver_staff_id deputy_staff_id version update_time"},
		{Name: "complaint_secrets", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id", Delete: true, Kept: "complaint_id hash", Hidden: "hash"},
		{
			Name: "complaint_silences", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id",
			Kept: "complaint_id tell_time step due_time", Hidden: "step",
		},
		{
			Name: "complaint_notices", Set: SetComplaint, Column: "complaint_id",
			Kept: "id complaint_id round number create_time send_time",
		},
		{
			Name: "complaint_purchases", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id",
			Kept: "complaint_id verdict order_time ship_time delivery_time quantity check_time",
		},
		{
			Name: "complaint_assessments", Set: SetComplaint, Column: "complaint_id",
			Kept: "id complaint_id department_id staff_id points cause_id consequences state appeal_due enterer_actor approver_actor " +
				"version",
			Blank: "grounds",
		},
		{
			Name: "complaint_assessment_steps", Set: SetComplaint, Column: "assessment_id", Key: "assessment_id version",
			Where: "assessment_id IN (SELECT a.id FROM complaint_assessments a WHERE a.complaint_id = ANY ($1))",
			Kept:  "assessment_id version state actor actor_staff_id occur_time", Blank: "reason",
		},
	}
}
