package db

import (
	"encoding/json"
	"fmt"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// The sets of what the registry holds on a person.
const (
	SetCustomer       = "customer"
	SetContact        = "contact"
	SetOrder          = "order"
	SetAccessRequest  = "access-request"
	SetExtract        = "extract"
	SetSubjectRequest = "subject-request"
)

// SubjectTables declares what becomes of each column when a person is erased.
func SubjectTables() []subject.Table {
	tables := subject.Common()
	tables = append(tables, subject.Directory()...)
	tables = append(tables, subject.Deadlines()...)
	tables = append(tables, fileTables()...)
	tables = append(tables, orderTables()...)
	tables = append(tables, disclosureTables()...)
	return append(tables, rightsTables()...)
}

func fileTables() []subject.Table {
	return []subject.Table{
		{
			Name: "customers", Set: SetCustomer, Column: "id",
			Kept: "id number kind party region owner_staff_id lifecycle tier tier_end_time status language " +
				"service_quality_consent merged_into create_time update_time version erase_time " +
				"responsible_staff_id update_interval_days review_due_time retire_time creator create_source phone_quality email_quality asked_for",
			Blank: "name classification_code industry source_channel tier_reason relationship retire_reason",
			Empty: "tags attributes",
			Null:  "address phone phone_index phone_last4_index email email_index source external_id needs credit field_states",
			Also: "status = 2, service_quality_consent = false, tier_end_time = NULL, erase_time = coalesce(erase_time, $2), " +
				"update_time = $2, version = version + 1",
			Sealed: []subject.Sealed{
				{Column: "phone", Subject: "id"}, {Column: "email", Subject: "id"}, {Column: "address", Subject: "id", Open: openMessage[*customerv1.Address]},
				{Column: "credit", Subject: "id", Open: openMessage[*customerv1.Credit]}, {Column: "needs", Open: openMessage[*customerv1.Needs]},
			},
			Hidden: "phone_index phone_last4_index email_index version erase_time field_states asked_for",
		},
		{
			Name: "contacts", Set: SetContact, Column: "id",
			Kept: "id customer_id decision_role language preferred_channel create_time update_time delete_time version phone_quality email_quality " +
				"creator create_source verified_points",
			Blank: "name", Null: "phone phone_index phone_last4_index email email_index birthday field_states",
			Also: "decision_role = 0, verified_points = 0, delete_time = coalesce(delete_time, $2), update_time = $2, version = version + 1",
			Sealed: []subject.Sealed{
				{Column: "phone", Subject: "id"}, {Column: "email", Subject: "id"}, {Column: "birthday", Subject: "id", Open: openDate},
			},
			Hidden: "phone_index phone_last4_index email_index version field_states verified_points",
		},
		{
			Name: "customer_changes", Set: SetCustomer, Column: "customer_id", Where: "customer_id = ANY($1) AND contact_id IS NULL",
			Kept: "id customer_id contact_id version field change_time actor source", Null: "before after", Hidden: "version",
			Sealed: []subject.Sealed{{Column: "before", Subject: "customer_id"}, {Column: "after", Subject: "customer_id"}},
		},
		{
			Name: "customer_changes", Set: SetContact, Column: "contact_id", Part: true, Null: "before after", Hidden: "version",
			Sealed: []subject.Sealed{{Column: "before", Subject: "contact_id"}, {Column: "after", Subject: "contact_id"}},
		},
		{
			Name: "change_reports", Set: SetCustomer, Column: "customer_id", Blank: "proposal refuse_reason", Hidden: "version proposal",
			Kept: "id customer_id contact_id source state actor create_time decider decide_time version",
		},
		{Name: "change_reports", Set: SetContact, Column: "contact_id", Part: true, Blank: "proposal refuse_reason", Hidden: "version proposal"},
		{
			Name: "customer_quality", Set: SetCustomer, Column: "customer_id", Key: "customer_id", Delete: true,
			Kept:   "customer_id active responsible_staff_id completeness accuracy timeliness overall reasons definition score_time rescore_time",
			Hidden: "reasons rescore_time",
		},
		{Name: "quality_snapshots", Reason: "means of all files", Kept: "month files completeness accuracy timeliness overall definition create_time"},
		{Name: "calendars", Reason: "calendars", Kept: "id is_default version update_time definition"},
		{Name: "segments", Reason: "conditions", Kept: "id name purpose condition creator create_time update_time version"},
		{Name: "attribute_definitions", Reason: "rules of attributes", Kept: "id key definition create_time update_time version"},
		{Name: "maintenance_plans", Reason: "plans by lifecycle", Kept: "lifecycle actions contact_interval_days update_time version"},
		{
			Name: "consents", Set: SetCustomer, Column: "customer_id", Key: "customer_id purpose version",
			Kept: "customer_id purpose granted decide_time channel wording_version version recorder",
		},
		{
			Name: "customer_summaries", Set: SetCustomer, Column: "customer_id", Key: "customer_id", Delete: true,
			Kept: "customer_id number name kind region tier owner_staff_id status last_contact_time open_tickets open_complaints " +
				"orders score_sum scores folded grams position",
			Hidden: "folded grams position",
		},
		{
			Name: "timeline", Set: SetCustomer, Column: "customer_id",
			Kept: "id customer_id occur_time type subject_id number state score contact historic",
		},
		{
			Name: "cases", Set: SetCustomer, Column: "customer_id", Key: "subject_id",
			Kept: "subject_id kind customer_id open version visitor_staff_id",
		},
		{
			Name: "contact_reservations", Set: SetCustomer, Column: "customer_id",
			Kept: "id customer_id recipient_id kind purpose channel event_id sender request_id reserve_time",
		},
		{
			Name: "contact_reservations", Set: SetContact, Column: "recipient_id", Part: true,
		},
	}
}

// openDate shows a day.
func openDate(plain string) (any, error) {
	day := new(date.Date)
	if err := proto.Unmarshal([]byte(plain), day); err != nil {
		return nil, fmt.Errorf("decode a date: %w", err)
	}
	return fmt.Sprintf("%04d-%02d-%02d", day.GetYear(), day.GetMonth(), day.GetDay()), nil
}

// openMessage shows a stored message as the API does.
func openMessage[M proto.Message](plain string) (any, error) {
	var of M
	message := of.ProtoReflect().New().Interface()
	if err := proto.Unmarshal([]byte(plain), message); err != nil {
		return nil, fmt.Errorf("decode %T: %w", of, err)
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("write %T: %w", of, err)
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

func orderTables() []subject.Table {
	return []subject.Table{
		{Name: "rule_versions", Reason: "rules", Kept: "id kind version state effective_time definition author publisher create_time revision"},
		{Name: "tier_runs", Reason: "counts by tier", Kept: "id model_id as_of_time state scored moves moved orders_left_out before_counts " +
			"after_counts schedule author applier after_id create_time apply_time revision"},
		{
			Name: "tier_scores", Set: SetCustomer, Column: "customer_id", Key: "run_id customer_id", Delete: true,
			Where: "run_id IN (SELECT id FROM tier_runs) AND customer_id = ANY($1)",
			Kept:  "run_id customer_id measures ranks score tier from_tier to_tier reason",
		},
		{
			Name: "customer_standings", Set: SetCustomer, Column: "customer_id", Key: "customer_id",
			Kept: "customer_id strategic update_time version", Blank: "strategic_reason", Null: "growth_rating referrer_id", Also: "strategic = false",
			Hidden: "version",
		},
		{
			Name: "orders", Set: SetCustomer, Column: "customer_id",
			Kept: "id customer_id order_number order_time status currency amount_units amount_nanos cost_units cost_nanos " +
				"ship_time delivery_time create_time update_time version",
			Hidden: "cost_units cost_nanos version",
		},
		{
			Name: "order_lines", Set: SetOrder, Column: "order_id", Key: "order_id line",
			Kept: "order_id line product_model product_category quantity price_units price_nanos freight_units freight_nanos",
		},
		{
			Name: "installed_products", Set: SetCustomer, Column: "customer_id",
			Kept: "id customer_id serial_number product_model order_number ship_time delivery_time warranty_end_time " +
				"guarantee_end_time create_time update_time version",
			Hidden: "version",
		},
	}
}

// disclosureTables: whose file was opened to whom. What people wrote there may name somebody.
func disclosureTables() []subject.Table {
	return []subject.Table{
		{
			Name: "access_requests", Set: SetAccessRequest, Column: "id",
			Kept: "id asker days outsider organisation identity_check state decider decide_time end_time revoke_time create_time version",
			// An outsider is a person too, but not this one: they stay as long as the other files.
			Blank: "purpose note", Hidden: "outsider organisation identity_check version",
		},
		{
			Name: "access_request_customers", Set: SetCustomer, Column: "customer_id", Key: "request_id customer_id", Delete: true,
			Kept: "request_id customer_id",
		},
		{
			Name: "access_extracts", Set: SetExtract, Column: "id", Kept: "id request_id create_time",
		},
		{
			Name: "break_glasses", Set: SetCustomer, Column: "customer_id",
			Kept:  "id actor customer_id end_time create_time reviewer review_time justified note version",
			Blank: "reason", Also: "note = CASE WHEN reviewer IS NULL THEN NULL ELSE '' END, end_time = least(end_time, $2)",
			Hidden: "version",
		},
		{
			Name: "file_reads", Set: SetCustomer, Column: "customer_id", Kept: "id read_time reader customer_id basis access_right",
		},
		{Name: "unmask_budgets", Reason: "how much staff unmasked", Kept: "actor day used"},
		{
			Name: "unmasks", Set: SetCustomer, Column: "customer_id", Kept: "id actor customer_id contact_id field unmask_time", Blank: "purpose",
		},
		{Name: "access_reviews", Reason: "counts by staff, and ids of customers", Kept: "quarter signer sign_time report"},
		{Name: "access_review_notices", Reason: "quarters", Kept: "quarter tell_time"},
	}
}

// rightsTables: that somebody asked, and when it was done, is proof and stays.
func rightsTables() []subject.Table {
	const files = "files under a key of the import's own, which is destroyed with them when they are not kept any more"
	return []subject.Table{
		{Name: "customer_imports", Reason: "how many rows of which file were taken", Kept: "id source definition on_existing dry_run state " +
			"received done_bytes rows created updated existing reviews refused faults failure_zh failure_en author create_time end_time keep_until revision"},
		{Name: "customer_import_parts", Reason: files, Kept: "import_id at sealed"},
		{Name: "customer_import_errors", Reason: files, Kept: "import_id line position sealed"},
		{
			Name: "customer_import_reviews", Set: SetCustomer, Column: "customer_id", Key: "import_id line", Delete: true,
			Kept: "import_id line customer_id external_id fields sealed state decider", Hidden: "sealed",
		},
		{
			Name: "subject_requests", Set: SetSubjectRequest, Column: "id",
			Kept: "id kind customer_id contact_id state requester decider decide_time step cursor receipt next_time done_time " +
				"document_expire_time create_time version",
			Blank: "purpose note", Null: "correction", Also: "document_expire_time = NULL",
			Hidden: "correction step cursor receipt next_time version",
		},
		{
			Name: "subject_documents", Set: SetSubjectRequest, Column: "request_id", Key: "request_id service part", Delete: true,
			Kept: "request_id service part body", Hidden: "body",
		},
		{
			Name: "legal_holds", Set: SetCustomer, Column: "customer_id", Kept: "id customer_id actor create_time lift_time version",
			Blank: "reason", Hidden: "version",
		},
	}
}
