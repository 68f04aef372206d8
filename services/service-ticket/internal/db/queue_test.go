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

// manyTickets makes a department with tens of thousands of tickets, half of them in its
// queue, with five needs, and a task of each, some of them open.
func manyTickets(t *testing.T) (*testkit.DB, uuid.UUID) {
	t.Helper()
	base := testkit.Database(t, customerref.Migrations(), clock.Migrations(), policy.Migrations(), Migrations())
	owner := base.Owner(t)
	for _, sql := range []string{
		`INSERT INTO departments (id, code, name_zh, name_en, function, create_time, update_time, version)
		 SELECT gen_random_uuid(), 'd' || i, '', '', 0, now(), now(), 1 FROM generate_series(1, 5) i`,
		`INSERT INTO tickets (id, number, channel, mode, phase, type, priority, title, description, product_model, serial_number, order_number,
		   reporter_name, reporter_subject_id, state, round, department_id, wait_for, resolution, evidence_question_key, evidence_score,
		   create_time, update_time, service_tier, needs, due_time, version)
		 SELECT gen_random_uuid(), 'T-' || i, 1 + i % 9, 1, 1 + i % 3, 1, 1 + i % 4, 'x', '', '', '', '', '', gen_random_uuid(), 1 + i % 7, 1, d.ids[1 + i % 5], 0, '', '', 0,
		   now(), now(), 1 + i % 4, (ARRAY['', 'en', E'zh\npumps', E'\npumps', E'en\nseals'])[1 + i % 5], now() + i * interval '1 s', 1
		 FROM (SELECT array_agg(id) AS ids FROM departments) d, generate_series(1, 40000) i`,
		`INSERT INTO tasks (id, ticket_id, title, department_id, required, due_time, state, result, end_time, create_time, update_time, version, kind, told_due_time)
		 SELECT gen_random_uuid(), t.id, '', t.department_id, false, t.due_time - interval '6 h', s.state, '', CASE WHEN s.state > 1 THEN now() END,
		   now(), now(), 1, 1 + (n % 500 = 0)::integer, CASE WHEN n % 8 < 3 THEN t.due_time - interval '6 h' END
		 FROM tickets t, LATERAL (SELECT substr(t.number, 3)::integer AS n) x, LATERAL (SELECT 1 + (n % 4) / 2 AS state) s`,
		`ANALYZE`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var department uuid.UUID
	if err := base.Pool.QueryRow(t.Context(), `SELECT id FROM departments WHERE code = 'd2'`).Scan(&department); err != nil {
		t.Fatal(err)
	}
	return base, department
}

// The queue is read a step a lane, however many tickets stand in it.
func TestTheQueueGoesByItsIndex(t *testing.T) {
	base, department := manyTickets(t)
	if _, err := base.Owner(t).Exec(t.Context(), `INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version)
		SELECT gen_random_uuid(), '', $1, '{}', '{}', '{}', 1, '', n::text, now(), now(), 1 FROM generate_series(1, 300) n`, department); err != nil {
		t.Fatal(err)
	}
	var p Pullers
	b := new(pgx.Batch)
	New().QueuePullers(b, &p, []string{""}, []string{"7"}, time.Now(), true)
	err := base.Pool.SendBatch(t.Context(), b).Close()
	lanes := p.Lanes
	if err != nil || len(p.Staff) != 1 || len(p.Loads) != 1 || len(lanes) != 1 || lanes[0].Department != department {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, plan := range map[string]string{
		"lanes": explain(t, base, listLanes, []string{""}, []string{"7"}, true),
		"take":  explain(t, base, takeQueued, department, lanes[0].Needs, time.Now(), []uuid.UUID{}, []uuid.UUID{}, 1),
	} {
		if !strings.Contains(plan, "tickets_queue_idx") || strings.Contains(plan, "Sort Key: queue_rank") || strings.Contains(plan, "Seq Scan on tickets") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

func TestLanesInTheirOrder(t *testing.T) {
	soon, late := time.Unix(1, 0), time.Unix(2, 0)
	order := []Lane{
		{Rank: 0, Due: &late}, {Rank: 0}, {Rank: 1, Due: &soon}, {Rank: 1, Due: &late}, {Rank: 1, Due: &late, ID: uuid.Max}, {Rank: 1},
		{Rank: 1, ID: uuid.Max}, {Rank: 2, Due: &soon},
	}
	for i := range order {
		for j := range order {
			if got := order[i].Before(order[j]); got != (i < j) {
				t.Errorf("%d before %d: %v", i, j, got)
			}
		}
	}
}
