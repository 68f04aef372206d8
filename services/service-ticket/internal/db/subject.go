package db

import "github.com/kefu-suite/kefu/services/internal/subject"

// The sets of what this service holds on a person: the tickets that are theirs, and those of
// their company that they only reported.
const (
	SetTicket   = "ticket"
	SetReported = "reported-ticket"
)

// SubjectTables declares what becomes of each column when a person is erased.
func SubjectTables() []subject.Table {
	tables := append(subject.Common(), subject.CustomerRefs())
	tables = append(tables, subject.Clocks()...)
	tables = append(tables, caseTables()...)
	tables = append(tables, organisationTables()...)
	tables = append(tables, triageTables()...)
	const apart = "how cases hang together, and who of the staff watches them"
	return append(tables,
		subject.Table{Name: "installed_products", Reason: "whose products are: ids and serial numbers", Kept: "id customer_id product_model serial_number version"},
		subject.Table{Name: "fault_notices", Reason: "faults of products", Kept: "id product_model serial_from serial_to title description priority department_id cursor found_time create_time urgency impact"},
		subject.Table{Name: "fault_contacts", Reason: "which cases a fault opened", Kept: "notice_id customer_id serial_number ticket_id"},
		subject.Table{Name: "watchers", Reason: apart, Kept: "ticket_id staff_id create_time"},
		subject.Table{Name: "ticket_links", Reason: apart, Kept: "id ticket_id other_id kind create_time"},
		subject.Table{Name: "ticket_merges", Reason: apart, Kept: "id ticket_id into_id state wait_for merge_time undo_time"},
		subject.Table{Name: "ticket_merge_items", Reason: apart, Kept: "merge_id kind item_id"},
		subject.Table{Name: "canned_answers", Reason: "the company's own texts", Kept: "id code title department_id languages bodies create_time update_time version"},
		subject.Table{Name: "departments", Reason: "the organisation", Kept: "id code name_zh name_en function parent_id head_staff_id create_time update_time version close_time successor_id"},
		subject.Table{Name: "staff", Reason: "staff", Kept: "id name department_id posts skills languages status issuer subject create_time " +
			"update_time version calendar_id certificate_names certificate_expiries"},
		subject.Table{Name: "calendars", Reason: "calendars", Kept: "id subject_id is_default definition create_time update_time version"},
	)
}

func organisationTables() []subject.Table {
	const organisation = "the organisation, its staff and their duties"
	return []subject.Table{
		{Name: "routes", Reason: organisation, Kept: "id type product_model department_id update_time"},
		{Name: "substitutions", Reason: organisation, Kept: "id staff_id substitute_staff_id start_time end_time reason create_time take_over take_over_time"},
		{Name: "stations", Reason: organisation, Kept: "id code name_zh name_en department_id latitude longitude closed create_time update_time version"},
		{Name: "duty_rosters", Reason: organisation, Kept: "id code name_zh name_en department_id calendar_id closed create_time update_time version"},
		{Name: "duty_shifts", Reason: organisation, Kept: "id roster_id staff_id start_time end_time create_time"},
		{Name: "duty_gaps", Reason: organisation, Kept: "roster_id start_time end_time find_time"},
		{Name: "hotlines", Reason: organisation, Kept: "id number name_zh name_en hours purpose line owner_staff_id delete_time create_time update_time version owner_posts owner_told"},
		{Name: "hotline_publications", Reason: organisation, Kept: "version subject_id publish_time content"},
		{Name: "hotline_reminders", Reason: organisation, Kept: "version reason remind_time"},
	}
}

func caseTables() []subject.Table {
	reporter := []subject.Sealed{
		{Column: "reporter_phone", Subject: "reporter_subject_id"}, {Column: "reporter_email", Subject: "reporter_subject_id"},
	}
	const facts = "id number customer_id channel mode phase type priority product_model serial_number order_number reporter_subject_id " +
		"state round department_id assignee_staff_id wait_for merged_into evidence_answer_id evidence_question_key evidence_score " +
		"evidence_ticket_id evidence_complaint_id origin_event_id source external_id create_time update_time resolve_time close_time " +
		"confirm_due version service_tier policy_version needs due_time queue_rank urgency impact priority_source registrar"
	const hidden = "reporter_phone_index reporter_subject_id origin_event_id version service_tier policy_version needs queue_rank registrar"
	return []subject.Table{
		{
			Name: "tickets", Set: SetTicket, Column: "id", Kept: facts, Blank: "title description resolution reporter_name",
			Null: "reporter_phone reporter_phone_index reporter_email", Sealed: reporter, Hidden: hidden,
		},
		// What the company asked for stays the company's.
		{
			Name: "tickets", Set: SetReported, Column: "id", Part: true, Blank: "reporter_name",
			Null: "reporter_phone reporter_phone_index reporter_email", Sealed: reporter, Hidden: hidden,
		},
		{
			Name: "ticket_transitions", Set: SetTicket, Column: "ticket_id", Key: "ticket_id version",
			Kept:  "ticket_id version verb from_state to_state round actor actor_kind actor_staff_id assignee_staff_id occur_time wait_for priority priority_source urgency impact",
			Blank: "reason",
		},
		{
			Name: "comments", Set: SetTicket, Column: "ticket_id", Kept: "id ticket_id public author author_kind author_staff_id create_time",
			Blank: "body",
		},
		{
			Name: "tasks", Set: SetTicket, Column: "ticket_id", Blank: "title result",
			Kept: "id ticket_id department_id owner_staff_id required due_time state end_time create_time update_time version kind told_due_time", Hidden: "version told_due_time",
		},
		{
			Name: "task_changes", Set: SetTicket, Column: "ticket_id", Blank: "reason",
			Kept: "id ticket_id task_id version title_changed due_time_before due_time owner_before owner department_before department staff_id create_time",
		},
		{
			Name: "escalations", Set: SetTicket, Column: "ticket_id", Blank: "reason decision_reason",
			Kept: "id ticket_id state actor by_customer request_staff_id from_tier to_tier create_time due_time decide_staff_id decide_time", Hidden: "actor",
		},
		{
			// Ids of other systems, which may tell who wrote.
			Name: "intake_messages", Set: SetTicket, Column: "ticket_id", Key: "source message_id",
			Kept: "source message_id ticket_id joined create_time", Blank: "thread", Hidden: "message_id",
		},
		{
			Name: "solution_plans", Set: SetTicket, Column: "ticket_id", Kept: "id ticket_id round plan_time staff_id create_time", Blank: "text",
		},
		{
			Name: "work_entries", Set: SetTicket, Column: "ticket_id", Blank: "note void_reason",
			Kept: "id ticket_id kind minutes currency amount work_time staff_id create_time",
		},
		{Name: "ticket_texts", Set: SetTicket, Column: "ticket_id", Key: "ticket_id", Delete: true, Kept: "ticket_id position folded grams"},
		{
			Name: "ticket_contacts", Set: SetTicket, Column: "ticket_id",
			Kept: "id ticket_id round version channel two_way contact_time staff_id", Blank: "note",
		},
	}
}
