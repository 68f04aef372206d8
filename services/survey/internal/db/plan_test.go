package db

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// ticketSurvey is a seeded questionnaire; thing n of other kinds has an id made of n.
const ticketSurvey = "01900000-0000-7000-8000-000000000001"

// crowded is a database with enough rows for the planner to prefer indexes.
func crowded(t *testing.T) *testkit.DB {
	t.Helper()
	base := testkit.Database(t, customerref.Migrations(), Migrations())
	for _, sql := range []string{
		`INSERT INTO customer_refs (id, number, kind, tier, region, status, service_quality_consent, language, version)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, n, 1, 1, '', 1, true, 'en', 1 FROM generate_series(1, 500) n`,
		`INSERT INTO questionnaires (id, draft, published_version, published_trigger, publish_time, create_time, update_time, version)
		 SELECT gen_random_uuid(), '{}', 1, 1 + n % 2, now() - n * interval '1 s', now(), now(), 1 FROM generate_series(1, 5000) n`,
		`INSERT INTO invitations (id, questionnaire_id, questionnaire_version, customer_id, state, ticket_id, round, language,
		   expire_time, link_hash, create_actor, create_time, end_time, answer_id, version)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, '` + ticketSurvey + `', 1, lpad(to_hex(1 + n % 500), 32, '0')::uuid, s, lpad(to_hex(n / 2), 32, '0')::uuid,
		   n % 2, 'en', now() + (n - 100) * interval '1 s', int8send(n), 'x', now(), CASE WHEN s > 1 THEN now() END,
		   CASE WHEN s = 2 THEN lpad(to_hex(n), 32, '0')::uuid END, 1
		 FROM generate_series(1, 20000) n, LATERAL (SELECT CASE WHEN n % 100 = 0 THEN 1 ELSE 2 + n % 3 END AS s) states`,
		`UPDATE invitations SET complaint_id = ticket_id, ticket_id = NULL WHERE ('x' || right(id::text, 4))::bit(16)::int % 3 = 0`,
		`INSERT INTO answers (id, questionnaire_id, questionnaire_version, customer_id, round, order_number, score, low, answer_time,
		   source, external_id, record_time)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, CASE WHEN n % 50 = 0 THEN '` + ticketSurvey + `'::uuid ELSE gen_random_uuid() END, 1,
		   lpad(to_hex(1 + n % 500), 32, '0')::uuid, 0, '', 1, false, now(), 's', n, now() FROM generate_series(1, 20000) n`,
		`INSERT INTO answer_responses (answer_id, place, questionnaire_id, questionnaire_version, question_key, score)
		 SELECT id, p, questionnaire_id, 1, 'q' || p, 1 FROM answers, generate_series(1, 3) p`,
		`INSERT INTO questionnaire_versions SELECT id, 1, '{}', now(), 'x' FROM questionnaires ON CONFLICT DO NOTHING`,
		`INSERT INTO question_slots SELECT id, 1, 'q' || p, 1, p, '{}' FROM questionnaires, generate_series(1, 3) p WHERE draft = '{}'`,
		`INSERT INTO answer_scores SELECT id, questionnaire_id, answer_time, 1, 1, '', 4, '{1,1,1}' FROM answers`,
		`INSERT INTO due_invitations SELECT id, 'x', '', questionnaire_id, 1, customer_id, id, NULL, 1, 'en', now() - (row_number() OVER ()) * interval '1 min'
		 FROM invitations`,
		`UPDATE answer_scores SET flags = 1 WHERE answer_id IN (SELECT id FROM answers WHERE id < lpad(to_hex(100), 32, '0')::uuid)`,
		`UPDATE answers SET customer_id = NULL, order_number = id::text WHERE ('x' || right(id::text, 4))::bit(16)::int % 3 = 0`,
		`INSERT INTO answer_judgements SELECT id, questionnaire_id, true, 'x', 'x', now() FROM answers`,
		`INSERT INTO text_topics SELECT id, 't', 'k' || right(id::text, 1), questionnaire_id, false, 1 FROM answers`,
		`INSERT INTO counts SELECT gen_random_uuid(), 1, 'q', '1', 1 FROM generate_series(1, 20000)`,
		// The planner is to believe that much is uncounted, as after a large import.
		`INSERT INTO uncounted SELECT id FROM answers`,
	} {
		if _, err := base.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%.40s: %v", sql, err)
		}
	}
	for _, sql := range []string{`ANALYZE`, `TRUNCATE uncounted`} {
		if _, err := base.Owner(t).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

func explain(t *testing.T, on pg.DBTX, sql string, args ...any) string {
	t.Helper()
	rows, err := on.Query(t.Context(), "EXPLAIN "+sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		t.Fatalf("explain: %v", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("explain: %v", err)
	}
	return strings.Join(lines, "\n")
}

func TestHotQueriesUseTheirIndexes(t *testing.T) {
	base := crowded(t)
	survey, some := uuid.MustParse(ticketSurvey), uuid.MustParse("00000000-0000-0000-0000-0000000000aa")
	now, size := time.Now(), int32(51)
	var none *uuid.UUID
	cells, arguments := CellQuery{
		Selection: Selection{QuestionnaireID: survey, From: &now, Filters: []Filter{{Dimension: Dimension{Slot: 2}, Numbers: []int16{1}}}},
		Slots:     []int16{1, 2}, Overall: 3, Dimensions: []Dimension{{Column: TierColumn}, {Column: RegionColumn}, {Slot: 1}}, Periods: []time.Time{now},
	}.statement()
	for _, c := range []struct {
		name, sql string
		args      []any
		indexes   []string
	}{
		{"questionnaires", listQuestionnaires, []any{uuid.Max, size}, []string{"questionnaires_pkey"}},
		{"trigger", getTriggeredQuestionnaire, []any{int16(1)}, []string{"questionnaires_published_trigger_idx"}},
		{"link", lockInvitationByLink, []any{[]byte{0, 0, 0, 0, 0, 0, 0, 7}}, []string{"invitations_link_hash_key"}},
		{"link to read", getInvitationByLink, []any{[]byte{0, 0, 0, 0, 0, 0, 0, 7}}, []string{"invitations_link_hash_key"}},
		{"all invitations", listInvitations, []any{uuid.Max, size}, []string{"invitations_pkey"}},
		{"pending ones", listPendingInvitations, []any{now, uuid.Max, size}, []string{"invitations_state_idx"}},
		{"revoked ones", listEndedInvitations, []any{int16(4), uuid.Max, size}, []string{"invitations_state_idx"}},
		{"expired ones", listExpiredInvitations, []any{uuid.Max, size, now}, []string{"invitations_state_idx", "invitations_expire_time_idx"}},
		{"of a customer", listInvitationsOfCustomer, []any{some, uuid.Max, int16(1), now, size}, []string{"invitations_customer_id_idx"}},
		{"of a ticket", listInvitationsOfTicket, []any{some, uuid.Max, int16(0), now, none, none, size}, []string{"invitations_ticket_id_round_key"}},
		{"of a complaint", listInvitationsOfComplaint, []any{some, uuid.Max, int16(0), now, none, size}, []string{"invitations_complaint_id_round_key"}},
		{"pending of a customer", lockPendingOfCustomer, []any{some}, []string{"invitations_customer_id_idx"}},
		{"overdue", lockOverdueInvitations, []any{now.Add(-time.Hour), int32(200)}, []string{"invitations_expire_time_idx"}},
		{"answers", listAnswers, []any{survey, uuid.Max, size}, []string{"answers_questionnaire_idx"}},
		{"answers of a customer", listAnswersOfCustomer, []any{survey, some, uuid.Max, size}, []string{"answers_customer_idx"}},
		{"responses", listResponses, []any{[]uuid.UUID{some, survey}}, []string{"answer_responses_pkey"}},
		{"imported before", listImportedAnswers, []any{survey, "s", []string{"7", "8"}}, []string{"answers_source_external_id_key"}},
		{"results", readCounts, []any{survey, int32(1), int32(3)}, []string{"counts_pkey", "answer_responses_pkey", "answers_pkey", "invitations_pkey"}},
		{"asked before", wasAsked, []any{&some, int32(1), none}, []string{"invitations_ticket_id_round_key"}},
		{"due", listDueInvitations, []any{now.Add(-time.Hour), int32(100)}, []string{"due_invitations_next_time_idx"}},
		{"slots", listQuestionSlots, []any{survey}, []string{"question_slots_pkey"}},
		{"scores of answers", insertAnswerScores, []any{[]uuid.UUID{some, survey}}, []string{"answers_pkey", "answer_responses_pkey", "question_slots_pkey"}},
		{"analysis", cells, arguments, []string{"answer_scores_questionnaire_idx"}},
		{"duplicates", listDuplicates, []any{[]uuid.UUID{some, survey}, int32(30)}, []string{"answers_pkey", "answers_customer_idx", "answers_order_number_idx"}},
		{"later twins", listLaterTwins, []any{[]uuid.UUID{some, survey}}, []string{"answers_pkey", "answers_customer_idx", "answers_order_number_idx"}},
		{"flags", countFlags, []any{survey}, []string{"answer_scores_flagged_idx"}},
		{"flagged", listFlagged, []any{survey, uuid.Max, size}, []string{"answer_scores_flagged_idx"}},
		{"to flag again", listAnswersAfter, []any{survey, some, int32(500)}, []string{"answers_questionnaire_idx"}},
		{"texts of a topic", listTextsOfTopic, []any{survey, "k1", uuid.Max, "~", size}, []string{"text_topics_topic_idx"}},
		{"fold", foldCounts, []any{int32(2000)}, []string{"answer_responses_pkey", "answers_pkey", "invitations_pkey"}},
	} {
		planned(t, base, c.name, c.indexes, c.sql, c.args...)
	}
}

// planned checks that a statement goes by its indexes and reads no whole table.
func planned(t *testing.T, base *testkit.DB, name string, indexes []string, sql string, args ...any) {
	t.Helper()
	plan := explain(t, base.Pool, sql, args...)
	if strings.Contains(plan, "JIT") {
		t.Errorf("%s: is compiled before it runs:\n%s", name, plan)
	}
	for _, index := range indexes {
		if !strings.Contains(plan, index) {
			t.Errorf("%s: does not use %s:\n%s", name, index, plan)
		}
	}
	// The queue of what is uncounted is short and read as a whole.
	if strings.Contains(strings.ReplaceAll(plan, "Seq Scan on uncounted", ""), "Seq Scan on") {
		t.Errorf("%s: reads a whole table:\n%s", name, plan)
	}
}
