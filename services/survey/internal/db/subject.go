package db

import "github.com/kefu-suite/kefu/services/internal/subject"

// The sets of what this service holds on a person.
const (
	SetCustomer = "customer"
	SetAnswer   = "answer"
)

// SubjectTables declares what becomes of each column when a person is erased.
func SubjectTables() []subject.Table {
	tables := append(append(subject.Common(), subject.CustomerRefs()), subject.Directory()...)
	return append(tables,
		subject.Table{
			Name: "invitations", Set: SetCustomer, Column: "customer_id",
			Kept: "id questionnaire_id questionnaire_version customer_id state ticket_id complaint_id round language expire_time " +
				"create_actor create_time end_actor end_time answer_id version held_back seed campaign_id channel cause_trigger cause_id",
			Null: "link_hash end_reason", Hidden: "link_hash version seed",
			// A pending one is revoked: nobody is asked any more.
			Also: "state = CASE WHEN state = 1 THEN 4 ELSE state END, end_actor = coalesce(end_actor, 'survey'), " +
				"end_time = coalesce(end_time, $2), version = version + 1",
		},
		subject.Table{
			Name: "survey_consents", Set: SetCustomer, Column: "customer_id", Key: "customer_id", Kept: "customer_id granted version",
		},
		subject.Table{
			Name: "due_invitations", Set: SetCustomer, Column: "customer_id", Key: "event_id", Delete: true,
			Kept: "event_id event_type request_id questionnaire_id questionnaire_version customer_id ticket_id complaint_id round language next_time cause_trigger cause_id",
		},
		subject.Table{
			Name: "answers", Set: SetAnswer, Column: "id",
			Kept: "id questionnaire_id questionnaire_version invitation_id customer_id ticket_id complaint_id round order_number score low " +
				"answer_time invite_time source external_id record_time channel enter_actor late partial anonymous withdraw_time",
		},
		subject.Table{
			Name: "answer_responses", Set: SetAnswer, Column: "answer_id", Key: "answer_id place",
			Kept: "answer_id place questionnaire_id questionnaire_version question_key score choice body picks ranks",
			Null: "number day",
			// What was written freely stays an empty text: it counts as given.
			Also: "body = CASE WHEN num_nonnulls(body, number, day) = 0 THEN NULL ELSE '' END",
		},
		subject.Table{
			Name: "answer_progress", Set: SetCustomer, Column: "customer_id", Key: "invitation_id", Delete: true,
			Kept: "invitation_id customer_id responses save_time",
		},
		subject.Table{
			Name: "answer_scores", Set: SetAnswer, Column: "answer_id", Key: "answer_id",
			Kept: "answer_id questionnaire_id answer_time tier kind region cause scores flags excluded",
		},
		subject.Table{
			Name: "answer_judgements", Set: SetAnswer, Column: "answer_id", Key: "answer_id",
			Kept: "answer_id questionnaire_id excluded judge_actor judge_time", Null: "reason",
		},
		subject.Table{
			Name: "text_topics", Set: SetAnswer, Column: "answer_id", Key: "answer_id question_key topic_key",
			Kept: "answer_id question_key topic_key questionnaire_id by_hand score",
		},
		subject.Table{Name: "cleaning_rules", Reason: "what flags answers", Kept: "questionnaire_id version content set_time set_actor"},
		subject.Table{Name: "topic_dictionaries", Reason: "words that speak of topics", Kept: "questionnaire_id version content set_time set_actor"},
		subject.Table{Name: "cleanings", Reason: "how far flagging has come", Kept: "questionnaire_id epoch after_id"},
		subject.Table{Name: "unflagged", Reason: "ids that wait to be flagged", Kept: "answer_id questionnaire_id"},
		subject.Table{
			Name: "campaign_members", Set: SetCustomer, Column: "customer_id", Key: "campaign_id wave customer_id",
			Kept: "campaign_id wave customer_id tier language rank state invitation_id held_back channel reminders remind_time",
		},
		subject.Table{
			Name: "survey_messages", Set: SetCustomer, Column: "customer_id",
			Kept: "id invitation_id campaign_id wave customer_id channel reminder state driver create_time claim_time",
		},
		subject.Table{
			Name: "first_deliveries", Set: SetCustomer, Column: "customer_id", Key: "customer_id", Kept: "customer_id order_id delivery_time",
		},
		subject.Table{
			Name: "follow_ups", Set: SetAnswer, Column: "answer_id", Key: "ticket_id",
			Kept: "ticket_id answer_id number state open_time resolve_time version",
		},
		subject.Table{Name: "campaigns", Reason: "whom to ask when", Kept: "id content state wave open next_time creator create_time update_time version"},
		subject.Table{Name: "campaign_waves", Reason: "how far an asking has come",
			Kept: "campaign_id number questionnaire_id questionnaire_version phase after_id tiers cutoffs start_time close_time"},
		subject.Table{Name: "question_slots", Reason: "what is asked", Kept: "questionnaire_id questionnaire_version question_key type slot choices"},
		subject.Table{Name: "questionnaires", Reason: "what is asked", Kept: "id draft published_version published_trigger publish_time create_time update_time version"},
		subject.Table{Name: "questionnaire_versions", Reason: "what is asked", Kept: "questionnaire_id version content publish_time publish_actor"},
		subject.Table{Name: "aspects", Reason: "what is asked", Kept: "key place name_zh name_en question_zh question_en type outcome"},
		subject.Table{Name: "case_handlers", Reason: "who handled which case, by ids of staff", Kept: "case_id staff_id"},
		subject.Table{Name: "counts", Reason: "counts", Kept: "questionnaire_id questionnaire_version question_key value n"},
		subject.Table{Name: "uncounted", Reason: "ids that wait to be counted", Kept: "id"},
	)
}
