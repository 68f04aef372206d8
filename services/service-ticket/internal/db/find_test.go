package db

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// recorder remembers the statements that go through it.
type recorder struct {
	pg.Sender
	sql  []string
	args [][]any
}

func (r *recorder) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	r.sql = append(r.sql, sql)
	plain := args
	if len(args) > 0 {
		if _, mode := args[0].(pgx.QueryExecMode); mode {
			plain = args[1:]
		}
	}
	r.args = append(r.args, plain)
	return r.Sender.Query(ctx, sql, args...)
}

// SendBatch records the last of the statements, before which OnePlan says how it is planned.
func (r *recorder) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	last := b.QueuedQueries[len(b.QueuedQueries)-1]
	r.sql, r.args = append(r.sql, last.SQL), append(r.args, last.Arguments)
	return r.Sender.SendBatch(ctx, b)
}

// few takes out of a plan that it reads all staff or substitutions, of which there are few.
var few = strings.NewReplacer("Seq Scan on staff", "", "Seq Scan on substitutions", "")

// Lists by due time go by the index of who asks, and a rare text is found by the index of
// texts, however many tickets there are.
func TestWhatIsLookedForIsFoundByItsIndex(t *testing.T) {
	base, department := manyTickets(t)
	owner, ctx := base.Owner(t), t.Context()
	common, rare := textsearch.Terms("pump leaks", 1), textsearch.Terms("水泵漏水", 1)
	for _, c := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO ticket_texts (ticket_id, position, folded, grams)
		  SELECT id, row_number() OVER (ORDER BY id), CASE WHEN number = 'T-77' THEN '水泵漏水' ELSE 'pump leaks' END,
		    CASE WHEN number = 'T-77' THEN $2::text[] ELSE $1::text[] END FROM tickets`, []any{common, rare}},
		{`ANALYZE ticket_texts`, nil},
	} {
		if _, err := owner.Exec(ctx, c.sql, c.args...); err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
	}
	everyone := ticket.Viewer{Scope: accessv1.Scope_SCOPE_COMPANY}
	r := &recorder{Sender: base.Pool}
	q := New()
	found, err := q.SearchTickets(ctx, r, TicketFilter{For: everyone, Size: 51, Text: "水泵"}, 1<<62)
	if err != nil || len(found) != 1 || found[0].Number != "T-77" {
		t.Fatalf("found %d, %v", len(found), err)
	}
	plan := testkit.OnePlan(t, base.Pool, r.sql[0], len(r.args[0]))
	if strings.Count(plan, "Index Scan Backward using ticket_texts_position_key") != 2 || !strings.Contains(plan, "Bitmap Index Scan on ticket_texts_grams_idx") ||
		strings.Contains(plan, "Seq Scan") {
		t.Errorf("a text is found by\n%s", plan)
	}
	for index, f := range map[string]TicketFilter{
		"tickets_due_time_idx":       {For: everyone},
		"tickets_department_due_idx": {For: everyone, DepartmentID: department},
	} {
		f.Size = 51
		r = &recorder{Sender: base.Pool}
		if rows, err := q.ListDue(ctx, r, f, DuePlace{ID: uuid.Max, Due: time.Now()}); err != nil || len(rows) != 51 {
			t.Fatalf("%s: %d, %v", index, len(rows), err)
		}
		if plan := explain(t, base, r.sql[0], r.args[0]...); !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("wants %s:\n%s", index, plan)
		}
	}
	plan = explain(t, base, countQueues, []*uuid.UUID{nil, &department}, time.Now())
	if strings.Contains(few.Replace(plan), "Seq Scan") {
		t.Errorf("the queues are counted by\n%s", plan)
	}
	away := TicketFilter{For: everyone, Size: 51, Away: time.Now()}
	for what, list := range map[string]func(r *recorder) error{
		"the newest": func(r *recorder) error {
			_, err := q.ListTickets(ctx, r, r, away)
			return err
		},
		"the first due": func(r *recorder) error {
			_, err := q.ListDue(ctx, r, away, DuePlace{ID: uuid.Max, Due: time.Now()})
			return err
		},
	} {
		r = &recorder{Sender: base.Pool}
		if err := list(r); err != nil {
			t.Fatal(err)
		}
		// By one or the other index of whoever has a ticket, which are both empty here.
		if plan := explain(t, base, r.sql[0], r.args[0]...); !strings.Contains(plan, "tickets_assignee_") || strings.Contains(few.Replace(plan), "Seq Scan") {
			t.Errorf("%s in the hands of people who are away:\n%s", what, plan)
		}
	}
}

// A list by a key or by states reads the index that leads with it, planned once for any value.
func TestListsGoByTheIndexOfTheirKey(t *testing.T) {
	base, department := manyTickets(t)
	lists, err := pg.InOrder(base.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lists.Close)
	for index, f := range map[string]TicketFilter{
		"tickets_customer_id_idx":       {CustomerID: department},
		"tickets_assignee_newest_idx":   {AssigneeStaffID: department},
		"tickets_assignee_staff_id_idx": {AssigneeStaffID: department, States: []int16{5}},
		"tickets_department_id_idx":     {DepartmentID: department, States: []int16{1, 2}},
		"tickets_channel_idx":           {Channel: 3},
		"tickets_service_tier_idx":      {Tier: 4, States: []int16{7}},
		"tickets_phase_idx":             {Phase: 2},
		"tickets_state_idx":             {States: []int16{5}},
	} {
		f.For, f.Size = ticket.Viewer{Scope: accessv1.Scope_SCOPE_COMPANY}, 51
		r := &recorder{Sender: base.Pool}
		if _, err := New().ListTickets(t.Context(), r, r, f); err != nil {
			t.Fatalf("%s: %v", index, err)
		}
		plan := testkit.OnePlan(t, lists, r.sql[0], len(r.args[0]))
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "Index Only Scan Backward using "+index+" ") || !strings.Contains(plan, "tickets_pkey") {
			t.Errorf("wants %s and the tickets' own:\n%s", index, plan)
		}
	}
}

// Everything is found once and in order by pages of any size, from the newest one by one over all
// spans, with a condition as without.
func TestSearchGoesOverAllSpans(t *testing.T) {
	base, department := manyTickets(t)
	var ids []uuid.UUID
	if err := base.Pool.QueryRow(t.Context(), `SELECT array_agg(id) FROM (SELECT id FROM tickets ORDER BY number LIMIT 300) t`).Scan(&ids); err != nil {
		t.Fatal(err)
	}
	at := func(n int) int64 { return 983_040 - int64(n)*3_270 } // in fifteen spans
	if _, err := base.Owner(t).CopyFrom(t.Context(), pgx.Identifier{"ticket_texts"}, []string{"ticket_id", "position", "folded", "grams"},
		pgx.CopyFromSlice(len(ids), func(n int) ([]any, error) {
			return []any{ids[n], at(n), "泵4711", textsearch.Terms("泵4711", at(n))}, nil
		})); err != nil {
		t.Fatal(err)
	}
	var here []uuid.UUID
	if err := base.Pool.QueryRow(t.Context(), `SELECT array_agg(ticket_id ORDER BY position DESC) FROM ticket_texts x JOIN tickets t ON t.id = x.ticket_id
		WHERE t.department_id = $1`, department).Scan(&here); err != nil {
		t.Fatal(err)
	}
	if len(here) == 0 || len(here) == len(ids) {
		t.Fatalf("%d of %d are of the department", len(here), len(ids))
	}
	q := New()
	for _, text := range []string{"泵", "泵4", "4711", "711"} {
		for _, size := range []int{1, 13, 100, 500} {
			for of, want := range map[uuid.UUID][]uuid.UUID{uuid.Nil: ids, department: here} {
				f := TicketFilter{For: ticket.Viewer{Scope: accessv1.Scope_SCOPE_COMPANY}, Size: int32(size), Text: text, DepartmentID: of}
				var got []uuid.UUID
				for before := int64(1 << 62); ; {
					page, err := q.SearchTickets(t.Context(), base.Pool, f, before)
					if err != nil {
						t.Fatal(err)
					}
					for _, found := range page {
						got, before = append(got, found.ID), found.Position
					}
					if len(page) < size {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%q, pages of %d, department %v: %d tickets, want %d", text, size, of, len(got), len(want))
				}
			}
		}
	}
}
