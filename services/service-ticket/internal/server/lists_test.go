package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// list walks all pages of a list.
func (w *world) list(ctx context.Context, req *ticketv1.ListTicketsRequest) []string {
	w.t.Helper()
	var out []string
	for {
		got, err := w.tickets.ListTickets(ctx, req)
		if err != nil {
			w.t.Fatalf("%v: %v", req, err)
		}
		if n := len(got.GetTickets()); req.GetPageSize() > 0 && n > int(req.GetPageSize()) {
			w.t.Fatalf("%d tickets on a page of %d", n, req.GetPageSize())
		}
		for _, one := range got.GetTickets() {
			out = append(out, one.GetId())
		}
		if got.GetNextPageToken() == "" {
			return out
		}
		req.PageToken = got.GetNextPageToken()
	}
}

// A database is brought up to date before the services on it are: what they have asked once, and
// what they ask first afterwards, they still read.
func TestReadsOutliveALaterMigration(t *testing.T) {
	w := newWorld(t)
	made := w.create(&ticketv1.Ticket{CustomerId: w.customer(typev1.Tier_TIER_B), Title: "水泵漏水"})
	w.standsIn(w.staff("mate").GetId(), 24, false)
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	read := func() {
		t.Helper()
		for as, ctx := range map[string]context.Context{"manager": w.manager(), "agent": agent} {
			for _, req := range []*ticketv1.ListTicketsRequest{
				{}, {Text: "水泵"}, {Order: ticketv1.TicketOrder_TICKET_ORDER_DUE}, {CustomerId: made.GetCustomerId()},
				{States: []ticketv1.TicketState{ticketv1.TicketState_TICKET_STATE_NEW}}, {Number: made.GetNumber()},
			} {
				if got := w.list(ctx, req); !slices.Equal(got, []string{made.GetId()}) {
					t.Errorf("%s lists %v by %v", as, got, req)
				}
			}
		}
		w.list(w.manager(), &ticketv1.ListTicketsRequest{InAbsentHands: true})
		if got := w.get(made.GetId()); got.GetTitle() != made.GetTitle() {
			t.Errorf("read as %v", got)
		}
		if _, err := w.tasks().ListTasks(agent, &ticketv1.ListTasksRequest{}); err != nil {
			t.Error(err)
		}
	}
	read()
	w.DB.Later(t)
	read()
	if got, err := w.next("mate"); err != nil || got.GetId() != made.GetId() {
		t.Errorf("the next ticket is %v, %v", got, err)
	}
}

func TestListTicketsByEveryFilter(t *testing.T) {
	w := newWorld(t)
	mine, other := w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	other2 := w.department("other")
	var all []*ticketv1.Ticket
	for i, state := range []ticket.State{ticket.New, ticket.Assigned, ticket.Resolved, ticket.Closed, ticket.New, ticket.Waiting} {
		all = append(all, w.at(state, []string{mine, other}[i%2]))
	}
	triaged, err := w.tickets.TriageTicket(w.manager(), &ticketv1.TriageTicketRequest{
		Id: all[4].GetId(), Type: ticketv1.TicketType_TICKET_TYPE_OTHER, Priority: ticketv1.Priority_PRIORITY_P4,
		DepartmentId: other2.GetId(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(which ...int) []string {
		var out []string
		for _, i := range which {
			out = append(out, all[i].GetId())
		}
		return out
	}
	for _, c := range []struct {
		name string
		req  *ticketv1.ListTicketsRequest
		want []string
	}{
		{"all", &ticketv1.ListTicketsRequest{}, ids(5, 4, 3, 2, 1, 0)},
		{"state", &ticketv1.ListTicketsRequest{States: []ticket.State{ticket.New}}, ids(0)},
		{"states, one twice", &ticketv1.ListTicketsRequest{States: []ticket.State{ticket.Closed, ticket.New, ticket.Waiting, ticket.New}}, ids(5, 3, 0)},
		{"customer", &ticketv1.ListTicketsRequest{CustomerId: mine}, ids(4, 2, 0)},
		{"customer and states", &ticketv1.ListTicketsRequest{CustomerId: mine, States: []ticket.State{ticket.Resolved, ticket.Waiting}}, ids(2)},
		{"assignee", &ticketv1.ListTicketsRequest{AssigneeStaffId: w.agent.GetId()}, ids(5, 3, 2, 1)},
		{"department", &ticketv1.ListTicketsRequest{DepartmentId: other2.GetId()}, ids(4)},
		{"department and customer", &ticketv1.ListTicketsRequest{DepartmentId: w.desk.GetId(), CustomerId: other}, ids(5, 3, 1)},
		{"number", &ticketv1.ListTicketsRequest{Number: triaged.GetNumber()}, ids(4)},
		{"number of a state it is not in", &ticketv1.ListTicketsRequest{Number: triaged.GetNumber(), States: []ticket.State{ticket.Closed}}, nil},
		{"nobody's phone", &ticketv1.ListTicketsRequest{ReporterPhone: "13800138000"}, nil},
		{"no answer", &ticketv1.ListTicketsRequest{AnswerId: nowhere}, nil},
		{"no source", &ticketv1.ListTicketsRequest{Source: "nyc311", ExternalId: "1"}, nil},
	} {
		for _, size := range []int32{0, 1, 2} {
			c.req.PageSize, c.req.PageToken = size, ""
			if got := w.list(w.manager(), c.req); !slices.Equal(got, c.want) {
				t.Errorf("%s by %d: %v, want %v", c.name, size, got, c.want)
			}
		}
	}
}

func TestListTicketsRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(&ticketv1.Ticket{})
	w.create(&ticketv1.Ticket{})
	for field, req := range map[string]*ticketv1.ListTicketsRequest{
		"page_size":      {PageSize: 501},
		"page_token":     {PageToken: "x"},
		"states[0]":      {States: []ticket.State{0}},
		"external_id":    {ExternalId: "1"},
		"reporter_phone": {ReporterPhone: "12"},
		"customer_id":    {CustomerId: "x"},
	} {
		_, err := w.tickets.ListTickets(w.manager(), req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	first, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{PageSize: 1})
	if err != nil || first.GetNextPageToken() == "" {
		t.Fatalf("first page: %v, %v", first, err)
	}
	_, err = w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{PageToken: first.GetNextPageToken(), DepartmentId: nowhere})
	refused(t, "the token with another filter", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	_, err = w.tickets.ListTickets(w.AsStaff(access.ServiceManager, "manager-2"), &ticketv1.ListTicketsRequest{PageToken: first.GetNextPageToken()})
	refused(t, "the token of another caller", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	_, err = w.tickets.ListTickets(w.As(access.CRMSpecialist), &ticketv1.ListTicketsRequest{})
	refused(t, "crm specialist", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

// explainer runs a query's plan in place of the query and keeps the plan.
type explainer struct {
	pg.DBTX
	plan *string
}

// listExplainer does so in a pool of lists, by the plan for any arguments: EXPLAIN of the statement
// itself would be planned for these.
type listExplainer struct {
	*pgxpool.Pool
	plan *string
}

func (e listExplainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	*e.plan = e.anyArguments(ctx, sql, args)
	return e.Pool.Query(ctx, "SELECT * FROM tickets WHERE false")
}

func (e listExplainer) anyArguments(ctx context.Context, sql string, args []any) string {
	conn, err := e.Acquire(ctx)
	if err != nil {
		return err.Error()
	}
	defer conn.Release()
	given := make([]string, len(args))
	for i, arg := range args {
		if states, ok := arg.([]int16); ok {
			arg = "{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(states), " ", ","), "[]") + "}"
		}
		given[i] = fmt.Sprintf("'%v'", arg)
	}
	results, err := conn.Conn().PgConn().Exec(ctx, "PREPARE listed AS "+sql+
		"; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE listed("+strings.Join(given, ", ")+"); DEALLOCATE listed").ReadAll()
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, r := range results {
		for _, row := range r.Rows {
			lines = append(lines, string(row[0]))
		}
	}
	return strings.Join(lines, "\n")
}

func (e explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := e.DBTX.Query(ctx, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+sql, args...)
	if err != nil {
		return nil, err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	*e.plan = strings.Join(lines, "\n")
	if err != nil {
		return nil, err
	}
	return e.DBTX.Query(ctx, "SELECT * FROM tickets WHERE false")
}

func TestListsReadNoMoreThanTheirPage(t *testing.T) {
	w := newWorld(t)
	customer, closed := w.customer(typev1.Tier_TIER_B), w.department("closed-down")
	w.exec(`INSERT INTO departments SELECT gen_random_uuid(), 'd' || i, 'x', '', 0, NULL, NULL, now(), now(), 1
		FROM generate_series(1, 20) i`)
	w.exec(`INSERT INTO staff SELECT gen_random_uuid(), 'x', $1, '{}', '{}', '{}', 1, 'x', i::text, now(), now(), 1
		FROM generate_series(1, 100) i`, w.desk.GetId())
	// The first third belongs to one department, one person and one customer, and all of
	// it is done; later ones are spread, and few are open. What one person registered is looked
	// through for a state in the index alone, all of it: 300 are.
	w.exec(`WITH d AS (SELECT array_agg(id) ids FROM departments WHERE id <> $2), s AS (SELECT array_agg(id) ids FROM staff WHERE id <> $3)
		INSERT INTO tickets (id, number, customer_id, channel, mode, phase, type, priority, title, description,
		product_model, serial_number, order_number, reporter_name, reporter_subject_id, state, round, department_id,
		assignee_staff_id, wait_for, resolution, evidence_question_key, evidence_score, source, external_id,
		create_time, update_time, version, registrar)
		SELECT ('01890000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'X-' || i, CASE WHEN i < 10000 THEN $1::uuid END,
		1, 1, 1, 1, 1, 'x', '', '', '', '', '', gen_random_uuid(), CASE WHEN i > 10000 AND i % 100 = 0 THEN 1 ELSE 7 END, 1,
		CASE WHEN i < 10000 THEN $2 ELSE d.ids[1 + i % 20] END, CASE WHEN i < 10000 THEN $3 ELSE s.ids[1 + i % 100] END, 0, '', '', 0,
		'load', i, now(), now(), 1, 'x|' || i % 100 FROM d, s, generate_series(1, 30000) i ORDER BY i`, customer, closed.GetId(), w.agent.GetId())
	open, none := []int16{1, 2, 3, 4, 5}, []int16(nil)
	everyone := ticket.Viewer{Scope: accessv1.Scope_SCOPE_COMPANY}
	agent := ticket.Viewer{
		Scope: accessv1.Scope_SCOPE_TEAM, Actor: "x|7", Staff: uuid.MustParse(w.agent.GetId()), Department: uuid.MustParse(closed.GetId()),
	}
	for _, analyzed := range []bool{false, true} {
		lookedUp := ticket.Viewer{Scope: accessv1.Scope_SCOPE_TEAM, Actor: "x|7"}
		if analyzed {
			if _, err := w.DB.Owner(t).Exec(t.Context(), "ANALYZE tickets, staff"); err != nil {
				t.Fatal(err)
			}
		}
		for index, f := range map[string]db.TicketFilter{
			"tickets_pkey":                   {},
			"tickets_state_idx":              {},
			"tickets_customer_id_idx":        {CustomerID: uuid.MustParse(customer)},
			"tickets_assignee_newest_idx":    {AssigneeStaffID: uuid.MustParse(w.agent.GetId())},
			"tickets_department_id_idx":      {DepartmentID: uuid.MustParse(closed.GetId())},
			"tickets_number_key":             {Number: "X-77"},
			"tickets_source_external_id_key": {Source: "load", ExternalID: "77"},
		} {
			for _, states := range [][]int16{none, open} {
				if index == "tickets_pkey" && states != nil || index == "tickets_state_idx" && states == nil {
					continue
				}
				f.Size, f.States, f.For = 51, states, everyone
				if index == "tickets_assignee_newest_idx" && states != nil {
					w.goesBy("tickets_assignee_staff_id_idx", f)
					continue
				}
				w.goesBy(index, f)
			}
		}
		for _, index := range []string{"tickets_registrar_idx", "tickets_assignee_newest_idx", "tickets_department_id_idx"} {
			w.goesBy(index, db.TicketFilter{Size: 51, For: agent})
			w.goesBy(index, db.TicketFilter{Size: 51, For: lookedUp, Issuer: "http://127.0.0.1:9", Subject: "agent-1"})
		}
		lookedUp.Scope, lookedUp.Queue = accessv1.Scope_SCOPE_OWN, true
		for _, index := range []string{"tickets_registrar_idx", "tickets_assignee_newest_idx", "tickets_waiting_idx", "tickets_waiting_nowhere_idx", "tickets_unassigned_idx"} {
			f := db.TicketFilter{Size: 51, For: lookedUp, Issuer: "http://127.0.0.1:9", Subject: "agent-1", Before: uuid.Max}
			if index == "tickets_unassigned_idx" {
				f.States = []int16{1}
			}
			w.goesBy(index, f)
		}
	}
}

// goesBy checks the plan of a list.
func (w *world) goesBy(index string, f db.TicketFilter) {
	w.t.Helper()
	var plan string
	// More often than it takes Postgres to consider one plan for all arguments.
	for range 7 {
		if _, err := db.New().ListTickets(w.t.Context(), explainer{w.Pool, &plan}, listExplainer{w.Process.Lists, &plan}, f); err != nil {
			w.t.Fatal(err)
		}
	}
	// Of a hundred staff who asks is found by reading all.
	if !strings.Contains(plan, index) || strings.Contains(strings.ReplaceAll(plan, "Seq Scan on staff me", ""), "Seq Scan") || tooMany(plan) {
		w.t.Errorf("%+v does not go by %s:\n%s", f, index, plan)
	}
}

// tooMany tells whether a step of the plan read many more rows than a page of each state.
func tooMany(plan string) bool {
	for line := range strings.SplitSeq(plan, "\n") {
		var n int
		if _, after, ok := strings.Cut(line, "Rows Removed by Filter: "); ok {
			if _, err := fmt.Sscan(after, &n); err == nil && n > 500 {
				return true
			}
		}
	}
	return false
}

func TestListTransitionsPages(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.Closed, "")
	var verbs []string
	req := &ticketv1.ListTransitionsRequest{TicketId: of.GetId(), PageSize: 2}
	for {
		got, err := w.tickets.ListTransitions(w.manager(), req)
		if err != nil || len(got.GetTransitions()) > 2 {
			t.Fatalf("%v, %v", got, err)
		}
		for _, move := range got.GetTransitions() {
			verbs = append(verbs, move.GetVerb())
		}
		if req.PageToken = got.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if want := []string{"create", "assign", "start", "resolve", "confirm"}; !slices.Equal(verbs, want) {
		t.Errorf("verbs %v, want %v", verbs, want)
	}
	_, err := w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: nowhere})
	refused(t, "unknown", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: of.GetId(), PageToken: "x"})
	refused(t, "bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
}
