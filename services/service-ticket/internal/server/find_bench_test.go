//go:build bench

package server_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/testkit/measure"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

const (
	fewTickets  = 10_000
	manyTickets = 1_000_000
	findCallers = 4
	findSlice   = time.Second
	findSlices  = 3
	// mostMore is how many times as much processor time of Postgres a page may take of the million.
	mostMore = 1.5
)

// finding is one question to the desk.
type finding struct {
	name string
	as   func(caller int) context.Context
	ask  func(ctx context.Context) (found int, err error)
	// fit has a list ask for a page that is full at either size; nil for counts, which take as long
	// as there is much open.
	fit func(ctx context.Context) error
}

// TestBenchFind measures the desk's lists and its search on ten thousand and on a million
// tickets: time a call, and the processor time of Postgres. Both give as many tickets, a page of
// 50 or what ten thousand have. Part of make bench.
func TestBenchFind(t *testing.T) {
	postgres := t.TempDir()
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, postgres))
	w := bareWorld(t, true).settled(t)
	var findings []finding
	var costs [2][]findCost
	for round, n := range []int{fewTickets, manyTickets} {
		w.fillDesk(t, n)
		if round == 0 {
			findings = w.findings(t)
			for _, f := range findings {
				if f.fit == nil {
					continue
				}
				if err := f.fit(f.as(0)); err != nil {
					t.Fatalf("%s: %v", f.name, err)
				}
			}
		}
		for _, f := range findings {
			costs[round] = append(costs[round], f.cost(t, postgres))
		}
	}
	var out strings.Builder
	for i, f := range findings {
		few, many := costs[0][i], costs[1][i]
		fmt.Fprintf(&out, "| %s | %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", f.name, many.found, few.p50, many.p50,
			few.p99, many.p99, few.database, many.database, many.database/few.database)
		if few.found != many.found {
			t.Errorf("%s: %d found of %d and %d of %d", f.name, few.found, fewTickets, many.found, manyTickets)
		}
		if f.fit != nil && many.database > mostMore*few.database {
			t.Errorf("%s: %.2f ms of %d and %.2f of %d, more than %v times as much", f.name, few.database, fewTickets, many.database, manyTickets, mostMore)
		}
	}
	t.Logf("%d callers, ms\n| list | found | p50 of %d | of %d | p99 of %[2]d | of %[3]d | database of %[2]d | of %[3]d | ratio |\n%[4]s",
		findCallers, fewTickets, manyTickets, out.String())
}

// findCost is what a call costs in milliseconds.
type findCost struct {
	p50, p99, database float64
	found              int
}

// cost is the slice whose processor time is the median.
func (f *finding) cost(t *testing.T, postgres string) findCost {
	t.Helper()
	slice := make([]findCost, findSlices)
	for i := range slice {
		slice[i] = f.slice(t, postgres)
	}
	slices.SortFunc(slice, func(a, b findCost) int { return cmp.Compare(a.database, b.database) })
	return slice[findSlices/2]
}

func (f *finding) slice(t *testing.T, postgres string) (c findCost) {
	t.Helper()
	used := func() (sum time.Duration) {
		all, err := measure.Postgres(postgres)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			sum += d
		}
		return sum
	}
	calls := make([]func(context.Context) error, findCallers)
	for i := range calls {
		as := f.as(i)
		calls[i] = func(context.Context) error {
			found, err := f.ask(as)
			if err == nil && found == 0 {
				err = fmt.Errorf("%s: nothing found", f.name)
			}
			if i == 0 {
				c.found = found
			}
			return err
		}
	}
	before := used()
	times, _, err := measure.Drive(t.Context(), calls, findSlice)
	if err != nil {
		t.Fatal(err)
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	c.p50, c.p99 = ms(measure.Quantile(times, .5)), ms(measure.Quantile(times, .99))
	c.database = ms(used()-before) / float64(len(times))
	return c
}

// findings are the lists by everything that the desk looks for.
func (w *world) findings(t *testing.T) []finding {
	t.Helper()
	var customer string
	if err := w.Pool.QueryRow(t.Context(), `SELECT id::text FROM customer_refs ORDER BY id LIMIT 1`).Scan(&customer); err != nil {
		t.Fatal(err)
	}
	// One person may not call so often.
	people := 0
	boss := func(int) context.Context {
		people++
		return w.AsPerson(fmt.Sprint("finder-", people), access.ServiceManager)
	}
	agent := func(caller int) context.Context { return w.AsStaff(access.ServiceAgent, fmt.Sprint("s", caller+1)) }
	list := func(name string, as func(int) context.Context, req *ticketv1.ListTicketsRequest) finding {
		req.PageSize = 50
		ask := func(ctx context.Context) (int, error) {
			page, err := w.tickets.ListTickets(ctx, req)
			return len(page.GetTickets()), err
		}
		return finding{name, as, ask, func(ctx context.Context) error {
			found, err := ask(ctx)
			if found < 2 {
				return errors.Join(err, fmt.Errorf("%d found", found))
			}
			if found < int(req.PageSize) {
				req.PageSize = int32(found - 1) // so that either goes on
			}
			return err
		}}
	}
	waiting := []ticketv1.TicketState{ticketv1.TicketState_TICKET_STATE_NEW, ticketv1.TicketState_TICKET_STATE_TRIAGED}
	return []finding{
		list("all", boss, &ticketv1.ListTicketsRequest{}),
		list("queue of a department", boss, &ticketv1.ListTicketsRequest{DepartmentId: w.desk.GetId(), States: waiting}),
		list("owner", boss, &ticketv1.ListTicketsRequest{AssigneeStaffId: w.agent.GetId()}),
		list("an agent's own", agent, &ticketv1.ListTicketsRequest{}),
		list("customer", boss, &ticketv1.ListTicketsRequest{CustomerId: customer}),
		list("state", boss, &ticketv1.ListTicketsRequest{States: []ticketv1.TicketState{ticketv1.TicketState_TICKET_STATE_WAITING}}),
		list("due", boss, &ticketv1.ListTicketsRequest{Order: ticketv1.TicketOrder_TICKET_ORDER_DUE}),
		list("due of a department", boss, &ticketv1.ListTicketsRequest{Order: ticketv1.TicketOrder_TICKET_ORDER_DUE, DepartmentId: w.desk.GetId()}),
		list("tier", boss, &ticketv1.ListTicketsRequest{Tier: typev1.Tier_TIER_KEY}),
		list("phase", boss, &ticketv1.ListTicketsRequest{Phase: ticketv1.Phase_PHASE_PRE_SALE}),
		list("channel", boss, &ticketv1.ListTicketsRequest{Channel: typev1.Channel_CHANNEL_LETTER}),
		list("tier, channel and state", boss, &ticketv1.ListTicketsRequest{
			Tier: typev1.Tier_TIER_KEY, Channel: typev1.Channel_CHANNEL_PHONE, States: waiting,
		}),
		list("text: two Chinese characters that many have", boss, &ticketv1.ListTicketsRequest{Text: "漏油"}),
		list("text: a Latin word that many have", boss, &ticketv1.ListTicketsRequest{Text: "bearing"}),
		list("text: one in two thousand", boss, &ticketv1.ListTicketsRequest{Text: "真空泵"}),
		list("text: four digits", boss, &ticketv1.ListTicketsRequest{Text: "2077"}),
		list("text: many have it, few in the queue", boss, &ticketv1.ListTicketsRequest{Text: "漏油", DepartmentId: w.desk.GetId(), States: waiting}),
		list("text: a number's last six digits", boss, &ticketv1.ListTicketsRequest{Text: "000777"}),
		{"counts of the queues", boss, func(ctx context.Context) (int, error) {
			all, err := w.deskService().CountQueues(ctx, &ticketv1.CountQueuesRequest{})
			return len(all.GetQueues()), err
		}, nil},
	}
}

// deskTickets makes tickets by their number: most of them closed, of many customers of whom one has a hundredth, over all
// tiers, phases and channels. Ids are in the order of registration, as those of the service.
const deskTickets = `
INSERT INTO tickets (id, number, customer_id, channel, mode, phase, type, priority, title, description, product_model, serial_number, order_number,
  reporter_name, reporter_subject_id, state, round, department_id, assignee_staff_id, wait_for, resolution, evidence_question_key,
  evidence_score, create_time, update_time, service_tier, policy_version, needs, due_time, version)
SELECT (lpad(to_hex(1750000000000 + i), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid,
  'T-202611-' || lpad((i + 100)::text, 7, '0'), c.ids[CASE WHEN i % 100 = 3 THEN 1 ELSE 1 + i % 5000 END], 1 + i / 7 % 9, 1, 1 + i / 5 % 3, 1 + i % 8, 2 + i % 3,
  (ARRAY['液压泵漏油', 'bearing noise', '控制柜报警', '电机不启动', 'valve leaks'])[1 + i % 5] || CASE WHEN i % 2000 = 7 THEN ' 真空泵' ELSE '' END,
  '', 'P-' || i % 300, 'SN-' || lpad(i::text, 7, '0'), '', '', gen_random_uuid(),
  CASE WHEN i % 20 = 0 THEN 1 + i / 20 % 6 ELSE 7 END, 1, d.ids[1 + i / 11 % 10], CASE WHEN i % 20 <> 0 OR i / 20 % 6 > 1 THEN s.ids[1 + i / 13 % 200] END,
  CASE WHEN i % 20 = 0 AND i / 20 % 6 = 4 THEN 1 ELSE 0 END, '', '', 0, now(), now(), 1 + i / 17 % 4, 1, '',
  CASE WHEN i % 20 = 0 AND i / 20 % 6 < 5 THEN now() + i * interval '1 s' END, 1
FROM (SELECT array_agg(id ORDER BY id) AS ids FROM customer_refs) c, (SELECT array_agg(id ORDER BY id) AS ids FROM departments) d,
  (SELECT array_agg(id ORDER BY id) AS ids FROM staff) s, generate_series($1::bigint, $2::bigint) i`

// fillDesk has the desk hold so many tickets.
func (w *world) fillDesk(t *testing.T, n int) {
	t.Helper()
	conn, err := w.DB.Owner(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	have := w.count(`SELECT count(*) FROM tickets`)
	run(`SET statement_timeout = 0`)
	if have == 0 {
		run(`INSERT INTO customer_refs (id, number, kind, tier, region, status, service_quality_consent, language, version)
			SELECT gen_random_uuid(), 'C-' || i, 1, 1 + i % 4, '', 1, true, 'zh-CN', 1 FROM generate_series(1, 5000) i`)
		run(`INSERT INTO departments (id, code, name_zh, name_en, function, create_time, update_time, version)
			SELECT gen_random_uuid(), 'd' || i, '', '', 0, now(), now(), 1 FROM generate_series(1, 9) i`)
		run(`INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version)
			SELECT gen_random_uuid(), 'x', department_id, '{}', '{}', '{}', 1, issuer, 's' || i, now(), now(), 1 FROM staff, generate_series(1, 199) i WHERE staff.id = $1`, w.agent.GetId())
	}
	run(deskTickets, have+1, n)
	w.copyTexts(t, conn.Conn(), have+1)
	run(`VACUUM (ANALYZE)`)
}

// copyTexts stores what the tickets from a number on are found by.
func (w *world) copyTexts(t *testing.T, conn *pgx.Conn, from int) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT id, title, number, product_model, serial_number FROM tickets t
		WHERE NOT EXISTS (SELECT FROM ticket_texts x WHERE x.ticket_id = t.id) ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	type found struct {
		ID                             uuid.UUID
		Title, Number, Product, Serial string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"ticket_texts"}, []string{"ticket_id", "position", "folded", "grams"},
		pgx.CopyFromSlice(len(all), func(i int) ([]any, error) {
			text := textsearch.Lines(all[i].Title, all[i].Number, all[i].Product, all[i].Serial)
			position := int64(from + i + 100)
			return []any{all[i].ID, position, text, textsearch.Terms(text, position)}, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
}
