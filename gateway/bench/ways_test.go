//go:build bench

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/metadata"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// operation is one thing to do, in each of the three ways.
type operation struct {
	name string
	// service is the program that answers, database its own.
	service, database string
	// writes says that work goes on behind an answer and is to be waited for.
	writes bool
	floor  func(ctx context.Context, on *pgxpool.Pool) error
	grpc   func(ctx context.Context) error
	rest   func() (verb, target string, body []byte)
}

// world is what operations are made of.
type world struct {
	tickets           ticketv1.TicketServiceClient
	customers         customerv1.CustomerServiceClient
	manager, crm      string // tokens
	inTickets, inCRM  int    // seeded rows
	phoneIndex        func(string) []byte
	payload           []byte  // of the event of a created ticket
	clocks, entries   [][]any // its clocks and their logs, without the ids that differ
	policyVersion     int64   // by which these run
	kind              int16   // as which it was triaged, by the words of its description
	triageRules       int64
	triage            []byte
	actor, accessWay  string
	address           netip.Prefix // from where it was asked for
	outcome, bodyHash []byte
	drawn             atomic.Int64
}

func newWorld(t *testing.T, s *stack) *world {
	t.Helper()
	return &world{
		tickets:   ticketv1.NewTicketServiceClient(s.dial(t, "service-ticket")),
		customers: customerv1.NewCustomerServiceClient(s.dial(t, "customer-registry")),
		manager:   s.token(t, "service-manager"), crm: s.token(t, "crm-specialist"), phoneIndex: s.phoneIndex(t, s.connect(t, "customer_registry", 1)),
	}
}

func bearer(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func newTicket() *ticketv1.Ticket {
	return &ticketv1.Ticket{
		CustomerId: customerID(rand.IntN(known)).String(), Channel: typev1.Channel_CHANNEL_PHONE,
		Title: "机器不启动", Description: "客户报修：开机后无反应，指示灯不亮。",
	}
}

// sample makes one ticket and remembers what its transaction left, so that the floor
// writes rows of the same size.
func (w *world) sample(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	made, err := w.tickets.CreateTicket(bearer(t.Context(), w.manager), &ticketv1.CreateTicketRequest{Ticket: newTicket(), RequestId: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	err = pool.QueryRow(t.Context(), `SELECT e.payload, a.actor, a.access_right, a.address, i.response, i.body_hash, t.policy_version, t.type, g.rules_version, g.content
FROM event_outbox e, audit_records a, idempotency_outcomes i, tickets t, ticket_triages g
WHERE e.subject_id = $1 AND a.object_id = $1 AND i.resource_id = $1 AND t.id = $1 AND g.ticket_id = $1`, made.GetId()).Scan(
		&w.payload, &w.actor, &w.accessWay, &w.address, &w.outcome, &w.bodyHash, &w.policyVersion, &w.kind, &w.triageRules, &w.triage)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		to  *[][]any
		sql string
	}{{&w.clocks, sampleClocks}, {&w.entries, sampleEntries}} {
		rows, err := pool.Query(t.Context(), part.sql, made.GetId())
		if err != nil {
			t.Fatal(err)
		}
		if *part.to, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() }); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.clocks) == 0 || len(w.clocks) != len(w.entries) {
		t.Fatalf("a new ticket has %d clocks and %d entries in their logs", len(w.clocks), len(w.entries))
	}
	w.checkFloor(t, pool, made.GetId())
}

// checkFloor makes sure that the floor leaves what the service leaves: as many rows, and in
// them the same but for what names and dates them. The service does not come to write more
// than the floor unnoticed.
func (w *world) checkFloor(t *testing.T, pool *pgxpool.Pool, made string) {
	t.Helper()
	floor, err := w.insertTicket(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	rows := func(id string) []string {
		found, err := pool.Query(t.Context(), leftRows, id)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return texts
	}
	if want, got := rows(made), rows(floor.String()); !slices.Equal(want, got) {
		t.Fatalf("a CreateTicket leaves\n%s\nand the floor\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func (w *world) create() operation {
	return operation{
		name: "create-ticket", service: "service-ticket", database: "service_ticket", writes: true,
		floor: w.floorTicket,
		grpc: func(ctx context.Context) error {
			_, err := w.tickets.CreateTicket(bearer(ctx, w.manager), &ticketv1.CreateTicketRequest{Ticket: newTicket(), RequestId: uuid.NewString()})
			return err
		},
		rest: func() (string, string, []byte) {
			t := newTicket()
			body, err := json.Marshal(map[string]string{
				"customerId": t.GetCustomerId(), "channel": "CHANNEL_PHONE", "title": t.GetTitle(), "description": t.GetDescription()})
			if err != nil {
				panic(err) // texts alone
			}
			return http.MethodPost, "/v1/tickets", body
		},
	}
}

const (
	sampleClocks = `SELECT subject_type, kind, round, state, owner_role, owner_staff_id, owner_department_id, calendar_id,
  calendar_version, policy_id, policy_version, clause_id, target, start_time, due_time, stop_time, next_step_time, version
FROM clocks WHERE subject_id = $1 ORDER BY id`
	sampleEntries = `SELECT l.position, l.type, l.occur_time, l.record_time, l.actor, l.actor_kind, l.reason, l.terms::text, l.owner::text,
  l.step, l.role, l.scheduled_time, l.amount
FROM clock_log l JOIN clocks c ON c.id = l.clock_id WHERE c.subject_id = $1 ORDER BY c.id`
	insertClock = `INSERT INTO clocks (id, subject_id, subject_type, kind, round, state, owner_role, owner_staff_id, owner_department_id,
  calendar_id, calendar_version, policy_id, policy_version, clause_id, target, start_time, due_time, stop_time,
  next_step_time, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`
	insertEntry = `INSERT INTO clock_log (clock_id, position, type, occur_time, record_time, actor, actor_kind, reason, terms, owner, step,
  role, scheduled_time, amount)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	// leftRows are those of a new ticket in all tables, without ids and times and what of
	// other rows is their own.
	leftRows = `SELECT row FROM (
SELECT 'ticket ' || (to_jsonb(t) - '{id,number,customer_id,reporter_subject_id,create_time,update_time}'::text[])::text FROM tickets t WHERE id = $1
UNION ALL SELECT 'transition ' || (to_jsonb(r) - '{ticket_id,occur_time}'::text[])::text FROM ticket_transitions r WHERE ticket_id = $1
UNION ALL SELECT 'triage ' || (to_jsonb(g) - 'ticket_id')::text FROM ticket_triages g WHERE ticket_id = $1
UNION ALL SELECT 'clock ' || (to_jsonb(c) - '{id,subject_id}'::text[])::text FROM clocks c WHERE subject_id = $1
UNION ALL SELECT 'clock log ' || (to_jsonb(l) - '{clock_id}'::text[])::text FROM clock_log l JOIN clocks c ON c.id = l.clock_id WHERE c.subject_id = $1
UNION ALL SELECT 'event ' || (to_jsonb(e) - '{id,event_id,type,subject_id,customer_id,occur_time,record_time,request_id,position}'::text[])::text
  FROM event_outbox e WHERE subject_id = $1 OR subject_id IN (SELECT id FROM clocks WHERE clocks.subject_id = $1)
UNION ALL SELECT 'audit ' || (to_jsonb(a) - '{id,time,object_id,customer_id,request_id,mac,changes_hash}'::text[])::text
  FROM audit_records a WHERE object_id = $1 OR object_id IN (SELECT id FROM clocks WHERE subject_id = $1)
UNION ALL SELECT 'outcome ' || (to_jsonb(o) - '{request_id,resource_id,create_time}'::text[])::text FROM idempotency_outcomes o WHERE resource_id = $1
) AS rows (row) ORDER BY row`
	requireTier  = `SELECT require_service_tier($1, 1::smallint)`
	drawTicket   = `SELECT nextval('ticket_numbers')::bigint, GREATEST(customer_tier($1), 1::smallint)::smallint, policy_in_effect($2)::bigint`
	insertTicket = `INSERT INTO tickets (id, number, customer_id, channel, mode, phase, type, priority, title, description,
  product_model, serial_number, order_number, reporter_name, reporter_subject_id, reporter_phone,
  reporter_phone_index, reporter_email, state, round, department_id, assignee_staff_id, wait_for, resolution,
  evidence_answer_id, evidence_question_key, evidence_score, evidence_ticket_id, evidence_complaint_id,
  origin_event_id, source, external_id, create_time, update_time, resolve_time, close_time, confirm_due, service_tier,
  policy_version, version, priority_source, registrar)
VALUES ($1, $2, live_customer($3), 1, 1, 3, $8, 3, $4, $5, '', '', '', '', $3, NULL, NULL, NULL, 1, 1, NULL, NULL, 0, '',
  NULL, '', 0, NULL, NULL, NULL, NULL, NULL, $6, $6, NULL, NULL, NULL, 1, $7, 1, 1, $9)`
	insertTriage     = `INSERT INTO ticket_triages (ticket_id, rules_version, content) VALUES ($1, $2, $3)`
	insertTransition = `INSERT INTO ticket_transitions (ticket_id, version, verb, from_state, to_state, round, reason, actor, actor_kind,
  actor_staff_id, assignee_staff_id, occur_time, wait_for, priority, priority_source)
VALUES ($1, 1, 'create', 0, 1, 1, '', $2, 1, (SELECT staff.id FROM staff WHERE staff.issuer = $3 AND staff.subject = $4), NULL, $5, 0, 3, 1)`
	insertEvent = `INSERT INTO event_outbox (event_id, type, subject_id, subject_version, customer_id, occur_time, record_time,
  actor_kind, actor_id, request_id, historic, payload)
VALUES ($1, 'bench.created.v1', $2, 1, $3, $4, $4, 1, $5, $6, false, $7)`
	insertAudit = `WITH record AS (INSERT INTO audit_records (id, time, actor, actor_kind, action, object_type, object_id, access_right,
  changes_hash, request_id, cause_event_id, mac, customer_id, address)
VALUES ($1, $2, $3, 1, '/kefu.ticket.v1.TicketService/CreateTicket', 'ticket', $4, $5, $6, $7, NULL, $6, $8, $9) RETURNING id)
INSERT INTO audit_pending (audit_id) SELECT id FROM record`
	insertOutcome = `INSERT INTO idempotency_outcomes (caller, method, request_id, body_hash, resource_id, resource_version, response, create_time)
VALUES ($1, '/kefu.ticket.v1.TicketService/CreateTicket', $2, $3, $4, 1, $5, $6)`
)

func (w *world) floorTicket(ctx context.Context, on *pgxpool.Pool) error {
	_, err := w.insertTicket(ctx, on)
	return err
}

// insertTicket sends what a CreateTicket sends, in one batch. Nobody follows events of its
// type, so that what comes behind an answer is not counted against the floor.
func (w *world) insertTicket(ctx context.Context, on *pgxpool.Pool) (uuid.UUID, error) {
	ids := make([]uuid.UUID, 3)
	for i := range ids {
		var err error
		if ids[i], err = uuid.NewV7(); err != nil {
			return uuid.Nil, err
		}
	}
	id, event, audit := ids[0], ids[1], ids[2]
	t, now, request := newTicket(), time.Now(), uuid.NewString()
	b := new(pgx.Batch)
	issuer, subject, _ := strings.Cut(w.actor, "|")
	b.Queue(drawTicket, t.GetCustomerId(), now)
	b.Queue(insertTicket, id, fmt.Sprintf("F-%d", w.drawn.Add(1)), t.GetCustomerId(), t.GetTitle(), t.GetDescription(), now, w.policyVersion, w.kind, w.actor)
	b.Queue(insertTriage, id, w.triageRules, w.triage)
	b.Queue(insertTransition, id, w.actor, issuer, subject, now)
	b.Queue(requireTier, t.GetCustomerId())
	for i := range w.clocks {
		clock, err := uuid.NewV7()
		if err != nil {
			return uuid.Nil, err
		}
		b.Queue(insertClock, append([]any{clock, id}, w.clocks[i]...)...)
		b.Queue(insertEntry, append([]any{clock}, w.entries[i]...)...)
	}
	b.Queue(insertEvent, event, id, t.GetCustomerId(), now, w.actor, request, w.payload)
	b.Queue(insertAudit, audit, now, w.actor, id, w.accessWay, w.bodyHash, request, t.GetCustomerId(), w.address)
	b.Queue(insertOutcome, w.actor, request, w.bodyHash, id, w.outcome, now)
	return id, on.SendBatch(ctx, b).Close()
}

// readAll takes every value of every row, as whoever uses them must.
func readAll(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if _, err := rows.Values(); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (w *world) get() operation {
	return operation{
		name: "get-ticket", service: "service-ticket", database: "service_ticket",
		floor: func(ctx context.Context, on *pgxpool.Pool) error {
			return readAll(on.Query(ctx, `SELECT * FROM tickets WHERE id = $1`, ticketID(rand.IntN(w.inTickets))))
		},
		grpc: func(ctx context.Context) error {
			_, err := w.tickets.GetTicket(bearer(ctx, w.manager), &ticketv1.GetTicketRequest{Id: ticketID(rand.IntN(w.inTickets)).String()})
			return err
		},
		rest: func() (string, string, []byte) {
			return http.MethodGet, "/v1/tickets/" + ticketID(rand.IntN(w.inTickets)).String(), nil
		},
	}
}

func (w *world) list() operation {
	return operation{
		name: "list-tickets", service: "service-ticket", database: "service_ticket",
		floor: func(ctx context.Context, on *pgxpool.Pool) error {
			return readAll(on.Query(ctx, `SELECT t.* FROM tickets t WHERE t.id < $2 ORDER BY t.id DESC LIMIT $1`, 51, uuid.Max))
		},
		grpc: func(ctx context.Context) error {
			r, err := w.tickets.ListTickets(bearer(ctx, w.manager), &ticketv1.ListTicketsRequest{PageSize: 50})
			if err == nil && len(r.GetTickets()) != 50 {
				err = fmt.Errorf("a page of %d tickets", len(r.GetTickets()))
			}
			return err
		},
		rest: func() (string, string, []byte) { return http.MethodGet, "/v1/tickets?pageSize=50", nil },
	}
}

const (
	summaryColumns = `SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
  open_complaints FROM customer_summaries `
	searchSummaries = summaryColumns + `WHERE grams && $1::text[] AND strpos(folded, $2) > 0 ORDER BY customer_id DESC LIMIT $3`
	listFound       = summaryColumns + `WHERE customer_id = ANY($1::uuid[]) ORDER BY customer_id DESC LIMIT $2`
)

// search looks customers up by a part of the name, of which the floor knows the pair that few have.
func (w *world) search(label string, part func(name []rune) []rune) operation {
	draw := func() (rare, query string) {
		n := name(rand.IntN(w.inCRM))
		return string(n[2:4]), string(part(n))
	}
	return w.searching(label, func() string { _, query := draw(); return query }, func(ctx context.Context, on *pgxpool.Pool) error {
		rare, query := draw()
		terms := make([]string, w.inCRM>>16+2)
		for span := range terms {
			terms[span] = fmt.Sprintf("%s/%d", rare, span)
		}
		return readAll(on.Query(ctx, searchSummaries, pgx.QueryExecModeCacheDescribe, terms, query, 51))
	})
}

// searchPhone looks a customer up by the whole phone.
func (w *world) searchPhone() operation {
	draw := func() string { return phone(rand.IntN(known)) }
	return w.searching("search: phone", draw, func(ctx context.Context, on *pgxpool.Pool) error {
		number := draw()
		rows, err := on.Query(ctx, `SELECT id FROM customers WHERE customers.phone_index = $1::bytea
UNION SELECT customer_id FROM contacts WHERE contacts.phone_index = $1::bytea LIMIT 500`, w.phoneIndex(number))
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("%d customers have the phone %s", len(found), number)
		}
		return readAll(on.Query(ctx, listFound, found, 51))
	})
}

func (w *world) searching(label string, draw func() string, floor func(context.Context, *pgxpool.Pool) error) operation {
	return operation{
		name: label, service: "customer-registry", database: "customer_registry", floor: floor,
		grpc: func(ctx context.Context) error {
			r, err := w.customers.ListCustomerSummaries(bearer(ctx, w.crm), &customerv1.ListCustomerSummariesRequest{Query: draw()})
			if err == nil && len(r.GetCustomerSummaries()) == 0 {
				err = fmt.Errorf("%s found nobody", label)
			}
			return err
		},
		rest: func() (string, string, []byte) {
			return http.MethodGet, "/v1/customerSummaries?query=" + url.QueryEscape(draw()), nil
		},
	}
}

// client speaks HTTP on one connection and costs little itself.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  bytes.Buffer
}

func newClient(address string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *client) call(token, verb, target string, body []byte) error {
	c.out.Reset()
	fmt.Fprintf(&c.out, "%s %s HTTP/1.1\r\nHost: kefu\r\nAuthorization: Bearer %s\r\n", verb, target, token)
	if body != nil {
		fmt.Fprintf(&c.out, "Idempotency-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", uuid.NewString(), len(body))
	}
	c.out.WriteString("\r\n")
	c.out.Write(body)
	if _, err := c.conn.Write(c.out.Bytes()); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body) // what there is of it
		return fmt.Errorf("%s %s: %d %s", verb, target, res.StatusCode, text)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
