package db

import (
	"context"
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
	common, rare := textsearch.Grams("pump leaks"), textsearch.Grams("水泵漏水")
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
	found, err := q.SearchTickets(ctx, r, TicketFilter{For: everyone, Size: 51, Text: "水泵"}, textsearch.QueryGrams("水泵"), 1<<62)
	if err != nil || len(found) != 1 || found[0].Number != "T-77" {
		t.Fatalf("found %d, %v", len(found), err)
	}
	for i, sql := range r.sql[1:] {
		if plan := testkit.OnePlan(t, base.Pool, sql, len(r.args[i+1])); !strings.Contains(plan, "ticket_texts_grams_idx") || strings.Contains(plan, "Seq Scan on ticket_texts") {
			t.Errorf("step %d of a search:\n%s", i+1, plan)
		}
	}
	r = &recorder{Sender: base.Pool}
	if found, err = q.SearchTickets(ctx, r, TicketFilter{For: everyone, Size: 51, Text: "leak"}, textsearch.QueryGrams("leak"), 1<<62); err != nil || len(found) != 51 || len(r.sql) != 1 {
		t.Errorf("a common text takes %d statements for %d, %v", len(r.sql), len(found), err)
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
	plan := explain(t, base, countQueues, []*uuid.UUID{nil, &department}, time.Now())
	if strings.Contains(few.Replace(plan), "Seq Scan") {
		t.Errorf("the queues are counted by\n%s", plan)
	}
	away := TicketFilter{For: everyone, Size: 51, Away: time.Now()}
	for what, list := range map[string]func(r *recorder) error{
		"the newest": func(r *recorder) error {
			_, err := q.ListTickets(ctx, r, away)
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
