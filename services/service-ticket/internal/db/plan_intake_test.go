package db

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/policy"
)

// What is asked for every call and message, and what is looked at again and again, reads as
// little of many tickets as of few.
func TestIntakeUsesItsIndexes(t *testing.T) {
	base := testkit.Database(t, customerref.Migrations(), clock.Migrations(), policy.Migrations(), Migrations())
	ctx, owner := t.Context(), base.Owner(t)
	for _, sql := range []string{
		`INSERT INTO tickets (id, number, channel, mode, phase, type, priority, title, description, product_model, serial_number, order_number,
		   reporter_name, reporter_subject_id, reporter_phone_index, state, round, wait_for, resolution, evidence_question_key, evidence_score,
		   source, external_id, create_time, update_time, version)
		 SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, n::text, 1, 1, 1, 1, 3, 't', '', '', '', '', '', gen_random_uuid(),
		   decode(lpad(to_hex(n % 5000), 8, '0'), 'hex'), CASE WHEN n % 50 = 0 THEN 1 ELSE 7 END, 1, 0, '', '', 0,
		   CASE WHEN n % 1000 = 0 THEN 'old' END, CASE WHEN n % 1000 = 0 THEN n::text END, now(), now(), 1 FROM generate_series(1, 40000) n`,
		`INSERT INTO ticket_transitions (ticket_id, version, verb, from_state, to_state, round, reason, actor, actor_kind, occur_time)
		 SELECT id, v, CASE WHEN v = 2 AND number::int % 500 = 0 THEN 'triage' ELSE 'create' END, 1, 2, 1, '', '', 1, now() FROM tickets, generate_series(1, 2) v`,
		`INSERT INTO intake_messages (source, message_id, thread, ticket_id, joined, create_time)
		 SELECT 'chat', number, 't' || number::int % 9000, id, false, now() FROM tickets`,
		`INSERT INTO escalations (id, ticket_id, state, reason, actor, by_customer, from_tier, to_tier, create_time, due_time, decide_time, decision_reason)
		 SELECT gen_random_uuid(), id, CASE WHEN number::int % 2000 = 0 THEN 1 ELSE 3 END, '', '', false, 1, 2, now(), now(),
		   CASE WHEN number::int % 2000 = 0 THEN NULL ELSE now() END, '' FROM tickets`,
		`ANALYZE`,
	} {
		if _, err := owner.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, c := range []struct {
		name, sql string
		indexes   []string
		args      []any
	}{
		{"open cases", findOpenCases, []string{"tickets_customer_id_idx", "tickets_reporter_phone_index_idx", "tickets_pkey"}, []any{uuid.New(), []byte{0, 0, 0, 7}, int32(20)}},
		{"a thread", lastOfThread, []string{"intake_messages_thread_idx"}, []any{"chat", "t7"}},
		{"a message", getIntakeMessage, []string{"intake_messages_pkey"}, []any{"chat", "7"}},
		{"tickets that teach", listTeachingTickets, []string{"ticket_transitions_triage_idx", "tickets_imported_idx"}, []any{int32(100)}},
		{"undecided escalations", listUndecidedEscalations, []string{"using escalations_"}, []any{true, uuid.Nil}},
		{"what a ticket was raised to", getRaisedTier, nil, []any{uuid.New()}},
		{"standards to look at", listStandardsToLook, nil, []any{time.Now(), int32(10)}},
	} {
		rows, err := base.Pool.Query(ctx, "EXPLAIN "+c.sql, append([]any{pgx.QueryExecModeCacheDescribe}, c.args...)...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		plan := strings.Join(lines, "\n")
		for _, index := range c.indexes {
			if !strings.Contains(plan, index) {
				t.Errorf("%s: wants %s:\n%s", c.name, index, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan on tickets") || strings.Contains(plan, "Seq Scan on escalations") {
			t.Errorf("%s reads a whole table:\n%s", c.name, plan)
		}
	}
}
