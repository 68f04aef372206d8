package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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
	// Before is the id after which the page goes on, downwards.
	Before uuid.UUID
	Size   int32
}

const (
	firstState = 1
	lastState  = 9
)

// ListTickets reads a page, the highest id first. The statement holds only the conditions
// that are set. Rare keys are looked up. For the others the newest of each state are read
// from the index that leads with the key and goes on with the state, and merged: that
// costs the same however many tickets there are and however they are spread.
func (q *Queries) ListTickets(ctx context.Context, db DBTX, f TicketFilter) ([]Ticket, error) {
	sql, args := f.statement()
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

func (f *TicketFilter) statement() (string, []any) {
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if f.Before == uuid.Nil {
		f.Before = uuid.Max
	}
	size := bind(f.Size)
	if !f.rare() && (len(f.States) > 0 || f.key() != "") {
		return f.byState(bind, size), args
	}
	where := append(f.conditions(bind), "t.id < "+bind(f.Before))
	if len(f.States) > 0 {
		where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
	}
	return "SELECT t.* FROM tickets t" + all(where) + " ORDER BY t.id DESC LIMIT " + size, args
}

// byState reads the newest of each state. Conditions and order are those of whole index
// entries, not equalities: with these the planner would weigh reading all tickets by id
// until enough match, which is right on average and reads a million rows for a key whose
// tickets are old.
func (f *TicketFilter) byState(bind binder, size string) string {
	states := f.States
	if len(states) == 0 {
		for s := int16(firstState); s <= lastState; s++ {
			states = append(states, s)
		}
	}
	from := "SELECT t.* FROM (SELECT DISTINCT unnest(" + bind(states) + "::smallint[]) AS state) s CROSS JOIN LATERAL ("
	entry, order, at := "t.state", "t.state DESC", "s.state"
	var where []string
	if key := f.key(); key != "" {
		value := bind(f.keys()[key])
		entry, order = "t."+key+", t.state", "t."+key+" DESC, t.state DESC"
		at = value + ", s.state"
		where = append(where, "t."+key+" IS NOT NULL")
	}
	where = append(where, "("+entry+") >= ("+at+")", "("+entry+", t.id) < ("+at+", "+bind(f.Before)+")")
	where = append(where, f.conditions(bind)...)
	return from + "SELECT t.* FROM tickets t" + all(where) + " ORDER BY " + order + ", t.id DESC LIMIT " + size +
		") t ORDER BY t.id DESC LIMIT " + size
}

// rare tells whether something is asked that few tickets have.
func (f *TicketFilter) rare() bool {
	return f.Number != "" || f.ReporterPhoneIndex != nil || f.Source != "" || f.AnswerID != uuid.Nil
}

// keys are the columns that an index leads with and follows by the state.
func (f *TicketFilter) keys() map[string]uuid.UUID {
	return map[string]uuid.UUID{
		"customer_id": f.CustomerID, "assignee_staff_id": f.AssigneeStaffID, "department_id": f.DepartmentID,
	}
}

// key is the one of the keys asked for that fewest tickets share, "" for none.
func (f *TicketFilter) key() string {
	for _, column := range []string{"customer_id", "assignee_staff_id", "department_id"} {
		if f.keys()[column] != uuid.Nil {
			return column
		}
	}
	return ""
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
	led := f.key()
	if f.rare() {
		led = ""
	}
	for _, column := range []string{"customer_id", "assignee_staff_id", "department_id"} {
		value := f.keys()[column]
		add(column, value, value != uuid.Nil && column != led)
	}
	return where
}

func all(where []string) string { return " WHERE " + strings.Join(where, " AND ") }
