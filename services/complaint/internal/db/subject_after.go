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
	}
}
