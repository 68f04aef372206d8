package db

import "github.com/kefu-suite/kefu/services/internal/subject"

// SetComplaint are the complaints of a person.
const SetComplaint = "complaint"

// SubjectTables declares what becomes of each column when a person is erased.
func SubjectTables() []subject.Table {
	tables := append(subject.Common(), subject.CustomerRefs())
	tables = append(tables, subject.Directory()...)
	tables = append(tables, subject.Clocks()...)
	tables = append(tables, caseTables()...)
	tables = append(tables, findingTables()...)
	tables = append(tables, afterTables()...)
	return append(tables, subject.Table{Name: "calendars", Reason: "calendars", Kept: "id is_default version update_time definition"})
}

func caseTables() []subject.Table {
	return []subject.Table{
		{
			Name: "complaints", Set: SetComplaint, Column: "id",
			Kept: "id number customer_id channel category severity_facts order_number product_model quantity currency amount_units " +
				"amount_nanos accused_staff_id ticket_id state round quality severity department_id handler_staff_id outcome source " +
				"external_id registered_by registered_in version create_time update_time close_time policy_version self_registered demanded " +
				"survey_answer_id",
			Blank: "title description demanded_remedy close_reason", Hidden: "version policy_version",
		},
		{
			Name: "complaint_readers", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id reader",
			Kept: "complaint_id reader state",
		},
		{
			Name: "complaint_rounds", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id number",
			Kept: "complaint_id number start_time handler_staff_id submit_time review_time valid_at_first_sight assign_time assign_version " +
				"contact_time tell_time tell_channel satisfaction answer_channel answer_time survey_answer_id",
			Blank: "told answer_said_by answer_note",
		},
		{
			Name: "complaint_proposals", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id round number",
			Kept: "complaint_id round number validity remedy currency amount_units amount_nanos proposer_actor proposer_staff_id propose_time " +
				"decision decide_time approver_actor approver_staff_id",
			Blank: "findings cause solution decision_reason",
		},
		{
			Name: "complaint_contacts", Set: SetComplaint, Column: "complaint_id",
			Kept: "id complaint_id round version channel two_way contact_time staff_id", Blank: "note",
		},
		{
			Name: "complaint_transitions", Set: SetComplaint, Column: "complaint_id", Key: "complaint_id version",
			Kept:  "complaint_id version verb from_state to_state round actor actor_staff_id handler_staff_id occur_time",
			Blank: "reason",
		},
	}
}
