//go:build bench

package server_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/testkit/measure"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	benchQueue  = 100_000
	benchAgents = 100
	benchPairs  = 5
	benchSlice  = 2 * time.Second
)

// bareClaim is what taking a ticket costs without rules, history, deadlines, events and audit.
const bareClaim = `
UPDATE tickets SET assignee_staff_id = $1, state = 3, version = version + 1 WHERE id = (
  SELECT t.id FROM tickets t
  WHERE COALESCE(t.department_id, '00000000-0000-0000-0000-000000000000') = $2
    AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) AND t.needs = ''
  ORDER BY t.queue_rank, t.due_time, t.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id::text`

// TestBenchNext measures how fast a hundred agents pull from a queue of a hundred thousand
// against the bare claim of the same rows; part of make bench.
func TestBenchNext(t *testing.T) {
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, t.TempDir()))
	maxLoad = 1000 // some get more than others within a slice
	w := bareWorld(t, true).settled(t)
	w.fillQueue(t)
	// A sweep, as there is one every second, finds out that the calendars are stored.
	if _, err := w.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken := &sync.Map{}
	claimed := func(id, who string) error {
		if other, twice := taken.LoadOrStore(id, who); twice {
			return fmt.Errorf("%s and %v both got %s", who, other, id)
		}
		return nil
	}
	var bare, ours []func(context.Context) error
	for i := range benchAgents {
		who := fmt.Sprint("puller-", i+1)
		as := w.AsStaff(access.ServiceAgent, who)
		ours = append(ours, func(context.Context) error {
			got, err := w.queue().NextTicket(as, &ticketv1.NextTicketRequest{})
			if err != nil {
				return err
			}
			return claimed(got.GetId(), who)
		})
		bare = append(bare, func(ctx context.Context) error {
			var id string
			if err := w.Pool.QueryRow(ctx, bareClaim, w.agent.GetId(), w.desk.GetId()).Scan(&id); err != nil {
				return err
			}
			return claimed(id, "bare")
		})
	}
	var rates [2][]float64
	var ratios []float64
	for range benchPairs {
		for n, way := range [][]func(context.Context) error{bare, ours} {
			times, spent, err := measure.Drive(t.Context(), way, benchSlice)
			if err != nil {
				t.Fatal(err)
			}
			rates[n] = append(rates[n], float64(len(times))/spent.Seconds())
			// Nobody's hands are full at the next turn.
			w.exec(`UPDATE tickets SET state = 8 WHERE state = 3`)
		}
		last := len(rates[0]) - 1
		ratios = append(ratios, rates[1][last]/rates[0][last])
	}
	t.Logf("%d agents on %d tickets: bare claim %.0f/s, next %.0f/s, ratio %.2f (%.2f to %.2f)", benchAgents, benchQueue,
		measure.Quantile(rates[0], .5), measure.Quantile(rates[1], .5), measure.Quantile(ratios, .5), measure.Quantile(ratios, 0), measure.Quantile(ratios, 1))
}

// fillQueue makes a hundred agents, and as many tickets as the queue is to hold, with the
// deadlines that a real one has.
func (w *world) fillQueue(t *testing.T) {
	t.Helper()
	first := w.create(&ticketv1.Ticket{CustomerId: w.customer(typev1.Tier_TIER_C)})
	conn, err := w.DB.Owner(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`SET statement_timeout = 0`,
		fmt.Sprintf(`INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version)
		SELECT gen_random_uuid(), 'x', department_id, '{}', '{}', '{}', 1, issuer, 'puller-' || i, now(), now(), 1
		FROM staff, generate_series(1, %d) i WHERE staff.id = '%s'`, benchAgents, w.agent.GetId()),
		fmt.Sprintf(`CREATE TEMP TABLE made AS SELECT gen_random_uuid() AS id, i FROM generate_series(1, %d) i`, benchQueue),
		fmt.Sprintf(`INSERT INTO tickets (id, number, customer_id, channel, mode, phase, type, priority, title, description, product_model, serial_number,
		  order_number, reporter_name, reporter_subject_id, state, round, department_id, wait_for, resolution, evidence_question_key, evidence_score,
		  create_time, update_time, service_tier, policy_version, due_time, version)
		SELECT m.id, 'T-' || i, customer_id, channel, mode, phase, type, 2 + i %% 3, title, description, product_model, serial_number,
		  order_number, reporter_name, reporter_subject_id, 2, 1, '%s', wait_for, resolution, evidence_question_key, evidence_score,
		  create_time, update_time, service_tier, policy_version, due_time, version
		FROM tickets, made m WHERE tickets.id = '%s'`, w.desk.GetId(), first.GetId()),
		fmt.Sprintf(`CREATE TEMP TABLE copied AS SELECT gen_random_uuid() AS id, c.id AS was, m.id AS ticket
		FROM clocks c, made m WHERE c.subject_id = '%s'`, first.GetId()),
		`INSERT INTO clocks SELECT (jsonb_populate_record(c, jsonb_build_object('id', n.id, 'subject_id', n.ticket))).* FROM clocks c JOIN copied n ON n.was = c.id`,
		`INSERT INTO clock_log SELECT (jsonb_populate_record(l, jsonb_build_object('clock_id', n.id))).* FROM clock_log l JOIN copied n ON n.was = l.clock_id`,
		`VACUUM (ANALYZE)`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
