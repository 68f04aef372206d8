package db

import (
	"context"
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
	// Issuer and Subject are how the directory knows who asks, for ListTickets to look their place there
	// up; empty where For has it, or its reach does not depend on it.
	Issuer, Subject string
	// Before is the id after which the page goes on, downwards.
	Before uuid.UUID
	Size   int32

	// Set by ways: who registered the ticket, that nobody has it, and no department; that whoever is
	// looked up has it, and that it is near them, in their department.
	registrar                string
	unassigned, noDepartment bool
	own, near                bool
	// before is the placeholder of Before, "" on the first page.
	before string
	// whole: the list goes by another order, and all keys are conditions but the one that
	// led names.
	whole bool
	led   string
}

// What statements written by hand read of a ticket t, a task t and a staff member s.
var (
	ticketColumns = pg.Columns(getTicket, "t")
	foundColumns  = pg.Columns(getTicket, "u")
	taskColumns   = pg.Columns(getTask, "t")
	staffColumns  = pg.Columns(getStaff, "s")
)

const (
	firstState = 1
	lastState  = 9
	// inQueue are the states of queued.
	inQueue = "(1, 2)"
	// ticketID alone is read of the tickets that several ways may find.
	ticketID = "t.id"
)

// everyState are all states, and queued those in which a ticket waits for somebody.
var everyState, queued = func() (all, waiting []int16) {
	for s := int16(firstState); s <= lastState; s++ {
		all = append(all, s)
		if ticket.Queued(ticket.State(s)) {
			waiting = append(waiting, s)
		}
	}
	return all, waiting
}()

// ListTickets reads a page, the highest id first. The statement holds only the conditions
// that are set. Rare keys are looked up. For the others the newest of each state are read
// from the index that leads with the key and goes on with the state, and merged: that
// costs the same however many tickets there are and however they are spread. What somebody has
// and what waits is read from indexes that are in the order of the list. For a caller
// who does not reach everything there is one such statement for each reason to reach a
// ticket, and the same statement looks their place in the directory up. What merges runs in
// lists, a pool of [pg.InOrder]: planning several ways took a millisecond, four times of what
// they take to run, and each goes by its index and its limit.
func (q *Queries) ListTickets(ctx context.Context, db, lists pg.DBTX, f TicketFilter) ([]Ticket, error) {
	sql, args, merged := f.page()
	if sql == "" {
		return nil, nil
	}
	if merged {
		db = lists
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
// arguments would be for tenths of the table. Whoever asks is joined as the directory has them: one row,
// of nulls where it does not.
func (f *TicketFilter) statement() (sql string, args []any, merged bool) {
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	each := f.ways()
	if len(each) == 0 {
		return "", nil, false
	}
	before := ""
	if f.Before != uuid.Nil {
		before = bind(f.Before)
	}
	for _, way := range each {
		way.before = before
	}
	size := strconv.Itoa(int(f.Size))
	if len(each) == 1 && each[0].direct() {
		return each[0].one(bind, size, ticketColumns), args, false
	}
	asker := ""
	if f.Subject != "" {
		asker = "(SELECT) o LEFT JOIN staff me ON me.issuer = " + bind(f.Issuer) + " AND me.subject = " + bind(f.Subject) + " CROSS JOIN LATERAL "
	}
	var text strings.Builder
	text.Grow(4096)
	if registered, others := each[0], each[1:]; apart(registered, others) {
		text.WriteString("SELECT " + foundColumns + " FROM " + asker + "(" + registered.alone(bind, size, others))
		for _, way := range others {
			text.WriteString(" UNION ALL (" + way.one(bind, size, "t.*") + ")")
		}
		text.WriteString(" ORDER BY id DESC LIMIT " + size + ") u")
		return text.String(), args, true
	}
	// Only the ids are put together: whole rows would be sorted, and planned, column by column.
	text.WriteString("SELECT " + ticketColumns + " FROM tickets t WHERE t.id = ANY(ARRAY(SELECT w.id FROM " + asker)
	for i, way := range each {
		if i == 0 {
			text.WriteString("(SELECT DISTINCT u.id FROM ((")
		} else {
			text.WriteString(") UNION ALL (")
		}
		text.WriteString(way.one(bind, size, ticketID))
	}
	text.WriteString(")) u ORDER BY u.id DESC LIMIT " + size + ") w)) ORDER BY t.id DESC")
	return text.String(), args, true
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
	lookedUp := f.Subject != ""
	switch {
	case lookedUp:
		add(func(w *TicketFilter) bool { w.own = true; return true })
	case v.Staff != uuid.Nil:
		add(func(w *TicketFilter) bool { return only(&w.AssigneeStaffID, v.Staff) })
	}
	team := v.Scope == accessv1.Scope_SCOPE_TEAM
	switch {
	case team && lookedUp:
		add(func(w *TicketFilter) bool { w.near = true; return true })
	case v.Team():
		add(func(w *TicketFilter) bool { return only(&w.DepartmentID, v.Department) })
	}
	if v.Queue {
		add(func(w *TicketFilter) bool { w.noDepartment = true; return w.queue() && w.DepartmentID == uuid.Nil })
	}
	switch {
	case !v.Queue || team:
	case lookedUp:
		add(func(w *TicketFilter) bool { w.near = true; return w.queue() })
	case v.Department != uuid.Nil:
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
	for _, s := range queued {
		if len(asked) == 0 || slices.Contains(asked, s) {
			f.States = append(f.States, s)
		}
	}
	return len(f.States) > 0 && f.AssigneeStaffID == uuid.Nil
}

// one is the statement without regard to who asks; what are the columns of t that it gives.
func (f *TicketFilter) one(bind binder, size, what string) string {
	switch {
	case f.direct():
	case !f.Away.IsZero():
		return f.byAway(bind, size, what)
	case f.ordered():
		return f.byKey(bind, size, what)
	default:
		return f.byState(bind, size, what)
	}
	where := f.registered(bind, f.conditions(bind))
	if f.before != "" {
		where = append(where, "t.id < "+f.before)
	}
	if len(f.States) > 0 {
		where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
	}
	return "SELECT " + what + " FROM tickets t" + all(where) + " ORDER BY t.id DESC LIMIT " + size
}

// registered adds to the conditions who registered a ticket: said three times, as in rarely, where
// there is nothing else to go by.
func (f *TicketFilter) registered(bind binder, conditions []string) []string {
	if f.registrar == "" {
		return conditions
	}
	value := bind(f.registrar)
	if len(conditions) > 0 {
		return append(conditions, "t.registrar = "+value)
	}
	return []string{"t.registrar = " + value, "t.registrar >= " + value, "t.registrar <= " + value}
}

// ordered tells whether an index leads with the key and goes on with the id: of what somebody
// has, in any state, and of what waits for somebody.
func (f *TicketFilter) ordered() bool {
	switch f.key() {
	case "assignee_staff_id":
		return len(f.States) == 0
	case "department_id":
		return f.waits()
	case "":
		return f.noDepartment && f.waits()
	}
	return false
}

// waits tells whether all that waits for somebody is asked for.
func (f *TicketFilter) waits() bool { return f.unassigned && len(f.States) == len(queued) }

// byKey reads the newest of a key by that index.
func (f *TicketFilter) byKey(bind binder, size, what string) string {
	where := append(f.rarely(bind), f.conditions(bind)...)
	if f.unassigned {
		where = append(where, "t.state IN "+inQueue)
	}
	if f.before != "" {
		where = append(where, "t.id < "+f.before)
	}
	return "SELECT " + what + " FROM tickets t" + all(where) + " ORDER BY t.id DESC LIMIT " + size
}

// rarely is the key, said three times: that costs the scan nothing and has the planner take it for so
// rare that reading other tickets until enough match is out of the question.
func (f *TicketFilter) rarely(bind binder) []string {
	key := f.key()
	if key == "" {
		return nil
	}
	value := f.keyed(key, bind)
	return []string{"t." + key + " = " + value, "t." + key + " >= " + value, "t." + key + " <= " + value}
}

// byState reads the newest of each state. That the state is the one asked for is said by
// where its entries begin and end, not as an equality: with that the planner would weigh reading
// all tickets by id until enough match, which is right on average and reads a million rows
// for a key whose tickets are old. The key is an equality: a comparison of key and state
// together would not end the scan where the state ends, but where the key does.
func (f *TicketFilter) byState(bind binder, size, what string) string {
	states := f.States
	if len(states) == 0 {
		states = everyState
	}
	from := "SELECT " + what + " FROM unnest(" + bind(distinct(states)) + "::smallint[]) s(state) CROSS JOIN LATERAL ("
	where := append(f.rarely(bind), f.ofState()...)
	where = append(where, f.conditions(bind)...)
	order := "t.state DESC, t.id DESC"
	if f.noDepartment {
		// Postgres does not take "is null" for the equality with which an order by the index begins.
		order = "t.department_id DESC, " + order
	}
	return from + "SELECT " + what + " FROM tickets t" + all(where) + " ORDER BY " + order + " LIMIT " + size +
		") t ORDER BY t.id DESC LIMIT " + size
}

// ofState are the bounds of a state s in an index, or of what comes before a place in it.
func (f *TicketFilter) ofState() []string {
	if f.before == "" {
		return []string{"t.state >= s.state", "t.state <= s.state"}
	}
	return []string{"t.state >= s.state", "(t.state, t.id) < (s.state, " + f.before + ")"}
}

// distinct are the states that a caller may have named more than once.
func distinct(states []int16) []int16 {
	return slices.Compact(slices.Sorted(slices.Values(states)))
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

// column is a value that the statement finds itself.
type column string

// keys are those columns, the one that fewest tickets share first. They point to ids, which need
// no copies of their own where they are not asked for.
func (f *TicketFilter) keys() [8]key {
	return [...]key{
		{"customer_id", &f.CustomerID, f.CustomerID != uuid.Nil},
		{"assignee_staff_id", column("me.id"), f.own},
		{"assignee_staff_id", &f.AssigneeStaffID, f.AssigneeStaffID != uuid.Nil},
		{"department_id", column("me.department_id"), f.near},
		{"department_id", &f.DepartmentID, f.DepartmentID != uuid.Nil},
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

// keyed is the value of the first key of a column that is asked for.
func (f *TicketFilter) keyed(column string, bind binder) string {
	for _, k := range f.keys() {
		if k.asked && k.column == column {
			return k.bound(bind)
		}
	}
	return "NULL"
}

func (k key) bound(bind binder) string {
	switch v := k.value.(type) {
	case column:
		return string(v)
	case *uuid.UUID:
		return bind(*v)
	}
	return bind(k.value)
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
		switch {
		case !k.asked:
		case k.column == led:
			led = "" // the first of the column; another may be asked for beside it
		default:
			where = append(where, "t."+k.column+" = "+k.bound(bind))
		}
	}
	return where
}

func all(where []string) string {
	if len(where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(where, " AND ")
}
