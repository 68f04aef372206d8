package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// TicketFilter narrows ListTickets; zero fields do not.
type TicketFilter struct {
	States             []int16
	CustomerID         uuid.UUID
	AssigneeStaffID    uuid.UUID
	DepartmentID       uuid.UUID
	Number             string
	ReporterPhoneIndex []byte
	Source             string
	ExternalID         string
	AnswerID           uuid.UUID
	Tier               int16
	Phase              int16
	Channel            int16
	// Away is the moment at which whoever has the ticket is away, zero for whether or not.
	Away time.Time
	// Text is a part of what a ticket is found by, folded.
	Text string
	// For is who asks: only what is within their reach is listed.
	For ticket.Viewer
	// Before is the id after which the page goes on, downwards.
	Before uuid.UUID
	Size   int32

	// Set by ways: who registered the ticket, that nobody has it, and no department.
	registrar                string
	unassigned, noDepartment bool
	// whole: the list goes by another order, and all keys are conditions but the one that
	// led names.
	whole bool
	led   string
}

const (
	firstState = 1
	lastState  = 9
)

// ListTickets reads a page, the highest id first. The statement holds only the conditions
// that are set. Rare keys are looked up. For the others the newest of each state are read
// from the index that leads with the key and goes on with the state, and merged: that
// costs the same however many tickets there are and however they are spread. For a caller
// who does not reach everything there is one such statement for each reason to reach a
// ticket.
func (q *Queries) ListTickets(ctx context.Context, db pg.Sender, f TicketFilter) ([]Ticket, error) {
	sql, args, merged := f.statement()
	if sql == "" {
		return nil, nil
	}
	if merged {
		// Planning several ways took a millisecond, four times of what they take to run, and
		// Postgres would do it for every call. Each goes by its index and its limit.
		db = pg.OnePlan{Sender: db, InOrder: true}
	}
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	// By position, as sqlc reads: Ticket has the columns of the table in their order. By
	// name would look every column of every row up anew.
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Ticket])
}

// binder gives the placeholder of a value.
type binder func(value any) string

// statement gives the text with its arguments, and whether it merges what several indexes or several
// parts of one give. A page's size stands in the text: without knowing it a plan for any
// arguments would be for tenths of the table.
func (f *TicketFilter) statement() (sql string, args []any, merged bool) {
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if f.Before == uuid.Nil {
		f.Before = uuid.Max
	}
	size := strconv.Itoa(int(f.Size))
	each := f.ways()
	switch {
	case len(each) == 0:
		return "", nil, false
	case len(each) == 1 && each[0].direct():
		return each[0].one(bind, size, "*"), args, false
	}
	var parts []string
	for _, way := range each {
		parts = append(parts, way.one(bind, size, "id"))
	}
	// Only the ids are put together: whole rows would be sorted, and planned, column by column.
	return "SELECT t.* FROM tickets t WHERE t.id = ANY(ARRAY(SELECT DISTINCT w.id FROM ((" +
		strings.Join(parts, ") UNION ALL (") + ")) w ORDER BY w.id DESC LIMIT " + size + ")) ORDER BY t.id DESC", args, true
}

// direct tells whether one index gives a page in its order.
func (f *TicketFilter) direct() bool {
	return f.rare() || f.Away.IsZero() && len(f.States) == 0 && f.key() == ""
}

// ways are the filters that together find what the viewer reaches and asks for. Each says
// in SQL one of the reasons of ticket.Viewer.Covers.
func (f *TicketFilter) ways() []*TicketFilter {
	v := f.For
	if v.Everything() {
		return []*TicketFilter{f}
	}
	var out []*TicketFilter
	add := func(narrow func(w *TicketFilter) bool) {
		w := *f
		if narrow(&w) {
			out = append(out, &w)
		}
	}
	if v.Customer != uuid.Nil {
		add(func(w *TicketFilter) bool { return only(&w.CustomerID, v.Customer) })
		return out
	}
	if v.Scope == accessv1.Scope_SCOPE_UNSPECIFIED {
		return nil
	}
	add(func(w *TicketFilter) bool { w.registrar = v.Actor; return true })
	if v.Staff != uuid.Nil {
		add(func(w *TicketFilter) bool { return only(&w.AssigneeStaffID, v.Staff) })
	}
	if v.Team() {
		add(func(w *TicketFilter) bool { return only(&w.DepartmentID, v.Department) })
	}
	if v.Queue {
		add(func(w *TicketFilter) bool { w.noDepartment = true; return w.queue() && w.DepartmentID == uuid.Nil })
	}
	if v.Queue && v.Department != uuid.Nil && !v.Team() {
		add(func(w *TicketFilter) bool { return w.queue() && only(&w.DepartmentID, v.Department) })
	}
	return out
}

// only narrows a key to a value; false when something else is asked for.
func only(key *uuid.UUID, value uuid.UUID) bool {
	asked := *key
	*key = value
	return asked == uuid.Nil || asked == value
}

// queue narrows to tickets that wait for somebody; false when others are asked for.
func (f *TicketFilter) queue() bool {
	f.unassigned = true
	asked := f.States
	f.States = nil
	for s := int16(firstState); s <= lastState; s++ {
		if ticket.Queued(ticket.State(s)) && (len(asked) == 0 || slices.Contains(asked, s)) {
			f.States = append(f.States, s)
		}
	}
	return len(f.States) > 0 && f.AssigneeStaffID == uuid.Nil
}

// one is the statement without regard to who asks; what is the column it gives, or * for all.
func (f *TicketFilter) one(bind binder, size, what string) string {
	switch {
	case f.direct():
	case !f.Away.IsZero():
		return f.byAway(bind, size, what)
	default:
		return f.byState(bind, size, what)
	}
	from, id, column, conditions := "tickets t", "t.id", "t."+what, f.conditions(bind)
	var where []string
	if f.registrar != "" {
		from, id = "ticket_transitions r JOIN tickets t ON t.id = r.ticket_id", "r.ticket_id"
		if what == "id" && len(conditions)+len(f.States) == 0 {
			// The history knows all that is asked.
			from, column = "ticket_transitions r", "r.ticket_id AS id"
		}
		where = append(where, "r.version = 1", "r.actor = "+bind(f.registrar))
	}
	where = append(where, conditions...)
	where = append(where, id+" < "+bind(f.Before))
	if len(f.States) > 0 {
		where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
	}
	return "SELECT " + column + " FROM " + from + all(where) + " ORDER BY " + id + " DESC LIMIT " + size
}

// byState reads the newest of each state. That the state is the one asked for is said by
// where its entries begin and end, not as an equality: with that the planner would weigh reading
// all tickets by id until enough match, which is right on average and reads a million rows
// for a key whose tickets are old. The key is an equality: a comparison of key and state
// together would not end the scan where the state ends, but where the key does. It is said three
// times, which costs the scan nothing and has the planner take it for so rare that walking the
// tickets of a state for it is out of the question.
func (f *TicketFilter) byState(bind binder, size, what string) string {
	states := f.States
	if len(states) == 0 {
		for s := int16(firstState); s <= lastState; s++ {
			states = append(states, s)
		}
	}
	from := "SELECT t." + what + " FROM (SELECT DISTINCT unnest(" + bind(states) + "::smallint[]) AS state) s CROSS JOIN LATERAL ("
	var where []string
	if key := f.key(); key != "" {
		value := bind(f.keyed(key))
		where = append(where, "t."+key+" = "+value, "t."+key+" >= "+value, "t."+key+" <= "+value)
	}
	where = append(where, "t.state >= s.state", "(t.state, t.id) < (s.state, "+bind(f.Before)+")")
	where = append(where, f.conditions(bind)...)
	order := "t.state DESC, t.id DESC"
	if f.noDepartment {
		// Postgres does not take "is null" for the equality with which an order by the index begins.
		order = "t.department_id DESC, " + order
	}
	return from + "SELECT t." + what + " FROM tickets t" + all(where) + " ORDER BY " + order + " LIMIT " + size +
		") t ORDER BY t.id DESC LIMIT " + size
}

// rare tells whether something is asked that few tickets have.
func (f *TicketFilter) rare() bool {
	return f.registrar != "" || f.Number != "" || f.ReporterPhoneIndex != nil || f.Source != "" || f.AnswerID != uuid.Nil
}

// key is a column that an index leads with and follows by the state.
type key struct {
	column string
	value  any
	asked  bool
}

// keys are those columns, the one that fewest tickets share first.
func (f *TicketFilter) keys() []key {
	return []key{
		{"customer_id", f.CustomerID, f.CustomerID != uuid.Nil},
		{"assignee_staff_id", f.AssigneeStaffID, f.AssigneeStaffID != uuid.Nil},
		{"department_id", f.DepartmentID, f.DepartmentID != uuid.Nil},
		{"channel", f.Channel, f.Channel != 0},
		{"service_tier", f.Tier, f.Tier != 0},
		{"phase", f.Phase, f.Phase != 0},
	}
}

// key is the first of the keys that is asked for, "" for none.
func (f *TicketFilter) key() string {
	for _, k := range f.keys() {
		if k.asked {
			return k.column
		}
	}
	return ""
}

func (f *TicketFilter) keyed(column string) any {
	for _, k := range f.keys() {
		if k.column == column {
			return k.value
		}
	}
	return nil
}

// conditions are the plain ones: what is asked beside the key of byState.
func (f *TicketFilter) conditions(bind binder) []string {
	var where []string
	add := func(column string, value any, given bool) {
		if given {
			where = append(where, "t."+column+" = "+bind(value))
		}
	}
	add("number", f.Number, f.Number != "")
	add("reporter_phone_index", f.ReporterPhoneIndex, f.ReporterPhoneIndex != nil)
	add("source", f.Source, f.Source != "")
	add("external_id", f.ExternalID, f.ExternalID != "")
	add("evidence_answer_id", f.AnswerID, f.AnswerID != uuid.Nil)
	if f.unassigned {
		where = append(where, "t.assignee_staff_id IS NULL")
	}
	if f.noDepartment {
		where = append(where, "t.department_id IS NULL")
	}
	if !f.Away.IsZero() && f.led != ledAway {
		where = append(where, "t.state IN "+inHands, "t.assignee_staff_id IN (SELECT away_staff("+bind(f.Away)+"))")
	}
	if f.Text != "" {
		where = append(where, "EXISTS (SELECT FROM ticket_texts x WHERE x.ticket_id = t.id AND strpos(x.folded, "+bind(f.Text)+") > 0)")
	}
	led := f.key()
	switch {
	case f.whole:
		led = f.led
	case f.rare():
		led = ""
	}
	for _, k := range f.keys() {
		add(k.column, k.value, k.asked && k.column != led)
	}
	return where
}

func all(where []string) string { return " WHERE " + strings.Join(where, " AND ") }
