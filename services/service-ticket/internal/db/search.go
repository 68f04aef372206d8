package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

// FoundTicket is a ticket with its position.
type FoundTicket struct {
	Ticket
	Position int64
}

// SearchTickets finds, among all tickets, those with a part of text, the newest first, before a
// position; further conditions are those of the filter.
func (q *Queries) SearchTickets(ctx context.Context, db pg.Sender, f TicketFilter, grams []string, before int64) (rows []FoundTicket, err error) {
	var last int64
	if err := db.QueryRow(ctx, "SELECT coalesce(max(position), 0) FROM ticket_texts").Scan(&last); err != nil {
		return nil, err
	}
	err = textsearch.Walk(min(before, last+1), len(grams), int(f.Size), func(p textsearch.Part) (int, error) {
		found, err := f.search(ctx, db, grams, p)
		rows = append(rows, found...)
		return len(found), err
	})
	return rows, err
}

// search finds what of a part has the text. The whole of what the index finds is put in order
// afterwards: walking all tickets for a page would take seconds where few match.
func (f TicketFilter) search(ctx context.Context, db pg.Sender, grams []string, p textsearch.Part) ([]FoundTicket, error) {
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	text := f.Text
	cond := "strpos(x.folded, " + bind(text) + ") > 0 AND "
	if p.Indexed {
		// Zero is added so that no plan reads the index of all positions, which keep little out.
		cond += "x.position + 0 < " + bind(p.Before) + "::bigint AND x.grams @> " + bind(grams) + "::text[]"
	} else {
		cond += "x.position < " + bind(p.Before) + "::bigint AND x.position >= " + bind(p.Since) + "::bigint"
	}
	if p.Spans != nil {
		cond += " AND (x.position >> 14) = ANY(" + bind(p.Spans) + "::bigint[])"
	}
	f.Text, f.whole = "", true
	where := f.conditions(bind)
	if len(f.States) > 0 {
		where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
	}
	if reach := f.reached(bind); reach != "" {
		where = append(where, reach)
	}
	newest := " ORDER BY h.position DESC LIMIT " + strconv.Itoa(p.Count)
	hits := "SELECT x.ticket_id, x.position FROM ticket_texts x WHERE " + cond
	var sql string
	switch {
	case p.Indexed && len(where) == 0:
		sql = "WITH h AS MATERIALIZED (" + hits + ") SELECT t.*, h.position FROM (SELECT * FROM h" + newest + ") h JOIN tickets t ON t.id = h.ticket_id"
	case p.Indexed:
		sql = "WITH h AS MATERIALIZED (" + hits + ") SELECT t.*, h.position FROM h JOIN tickets t ON t.id = h.ticket_id" + all(where)
	default:
		sql = "SELECT t.*, h.position FROM (" + hits + ") h JOIN tickets t ON t.id = h.ticket_id"
		if len(where) > 0 {
			sql += all(where)
		}
	}
	// The plan goes by the index whatever the text is; making one took as long as running it.
	rows, err := pg.OnePlan{Sender: db}.Query(ctx, sql+newest, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[FoundTicket])
}

// reached is the condition that a ticket is within the reach of who asks, "" where all are: the
// reasons of ways, put together.
func (f *TicketFilter) reached(bind binder) string {
	v := f.For
	if v.Everything() {
		return ""
	}
	or := []string{"EXISTS (SELECT FROM ticket_transitions r WHERE r.ticket_id = t.id AND r.version = 1 AND r.actor = " + bind(v.Actor) + ")"}
	if v.Staff != uuid.Nil {
		or = append(or, "t.assignee_staff_id = "+bind(v.Staff))
	}
	if v.Team() {
		or = append(or, "t.department_id = "+bind(v.Department))
	}
	if v.Queue {
		or = append(or, "t.assignee_staff_id IS NULL AND t.state IN (1, 2) AND (t.department_id IS NULL OR t.department_id = "+bind(v.Department)+")")
	}
	return "(" + strings.Join(or, " OR ") + ")"
}
