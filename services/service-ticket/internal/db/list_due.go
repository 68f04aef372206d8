package db

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// DuePlace is a place in a list by due time, and the moment at which it ends; zero for none.
type DuePlace struct {
	Due    time.Time
	ID     uuid.UUID
	Before time.Time
}

// ListDue reads a page of the tickets with a deadline that runs, the first due first. As in
// ListTickets there is one statement for each reason to reach a ticket, and each goes by the
// index of its key: the tickets of a person, of a department, or all.
func (q *Queries) ListDue(ctx context.Context, db pg.Sender, f TicketFilter, at DuePlace) ([]Ticket, error) {
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var parts []string
	for _, way := range f.ways() {
		parts = append(parts, way.due(bind, at))
	}
	if len(parts) == 0 {
		return nil, nil
	}
	size := strconv.Itoa(int(f.Size))
	rows, err := db.Query(ctx, "SELECT "+ticketColumns+" FROM tickets t WHERE t.id = ANY(ARRAY(SELECT w.id FROM (SELECT DISTINCT u.id, u.due_time FROM (("+
		strings.Join(parts, ") UNION ALL (")+")) u) w ORDER BY w.due_time, w.id LIMIT "+size+")) ORDER BY t.due_time, t.id", args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Ticket])
}

// due is the statement of one way.
func (f *TicketFilter) due(bind binder, at DuePlace) string {
	if !f.Away.IsZero() && f.registrar == "" {
		return f.dueAway(bind, at, strconv.Itoa(int(f.Size)))
	}
	w := *f
	w.whole = true
	order := "t.due_time, t.id"
	where := []string{"t.due_time IS NOT NULL"}
	// The key is a part of the order and of a place in it, as in byState: an equality would let
	// the planner read all tickets by due time until enough match.
	for _, k := range w.keys() {
		if k.asked && w.registrar == "" && (k.column == "assignee_staff_id" || k.column == "department_id") {
			w.led = k.column
			break
		}
	}
	if w.led != "" {
		key, value := "t."+w.led, w.keyed(w.led, bind)
		order = key + ", " + order
		where = append(where, key+" <= "+value, "("+order+") > ("+value+", "+bind(at.Due)+", "+bind(at.ID)+")")
	} else {
		where = append(where, "("+order+") > ("+bind(at.Due)+", "+bind(at.ID)+")")
	}
	if !at.Before.IsZero() {
		where = append(where, "t.due_time < "+bind(at.Before))
	}
	where = append(where, w.registered(bind, w.conditions(bind))...)
	if len(w.States) > 0 {
		where = append(where, "t.state = ANY("+bind(w.States)+"::smallint[])")
	}
	return "SELECT t.id, t.due_time FROM tickets t" + all(where) + " ORDER BY " + order + " LIMIT " + strconv.Itoa(int(f.Size))
}
