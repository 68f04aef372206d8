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
// that are set, so that each combination is planned on its own index: rare keys are
// looked up, and for the others the newest of each state are read and merged, which costs
// the same however many tickets there are.
func (q *Queries) ListTickets(ctx context.Context, db DBTX, f TicketFilter) ([]Ticket, error) {
	sql, args := f.statement()
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Ticket])
}

func (f *TicketFilter) statement() (string, []any) {
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	where := f.conditions(bind)
	if f.Before != uuid.Nil {
		where = append(where, "t.id < "+bind(f.Before))
	}
	size := bind(f.Size)
	if !f.byState() {
		if len(f.States) > 0 {
			where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
		}
		return "SELECT t.* FROM tickets t" + all(where) + " ORDER BY t.id DESC LIMIT " + size, args
	}
	states := f.States
	if len(states) == 0 {
		for s := int16(firstState); s <= lastState; s++ {
			states = append(states, s)
		}
	}
	where = append(where, "t.state = s.state")
	return "SELECT t.* FROM (SELECT DISTINCT unnest(" + bind(states) + "::smallint[]) AS state) s CROSS JOIN LATERAL (" +
		"SELECT t.* FROM tickets t" + all(where) + " ORDER BY t.id DESC LIMIT " + size +
		") t ORDER BY t.id DESC LIMIT " + size, args
}

// byState tells whether an index that leads with what is asked goes on with the state.
func (f *TicketFilter) byState() bool {
	if f.Number != "" || f.ReporterPhoneIndex != nil || f.Source != "" || f.AnswerID != uuid.Nil {
		return false
	}
	return len(f.States) > 0 || f.CustomerID != uuid.Nil || f.AssigneeStaffID != uuid.Nil || f.DepartmentID != uuid.Nil
}

func (f *TicketFilter) conditions(bind func(any) string) []string {
	var where []string
	for _, c := range []struct {
		column string
		value  any
		given  bool
	}{
		{"number", f.Number, f.Number != ""},
		{"reporter_phone_index", f.ReporterPhoneIndex, f.ReporterPhoneIndex != nil},
		{"source", f.Source, f.Source != ""},
		{"external_id", f.ExternalID, f.ExternalID != ""},
		{"evidence_answer_id", f.AnswerID, f.AnswerID != uuid.Nil},
		{"customer_id", f.CustomerID, f.CustomerID != uuid.Nil},
		{"assignee_staff_id", f.AssigneeStaffID, f.AssigneeStaffID != uuid.Nil},
		{"department_id", f.DepartmentID, f.DepartmentID != uuid.Nil},
	} {
		if c.given {
			where = append(where, "t."+c.column+" = "+bind(c.value))
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
