package db

import (
	"context"
	"fmt"
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

// searchTickets is the statement of a search; what is wanted of a ticket t, which stands at the text
// h, is put into it. What one in twenty tickets has fills a page from the newest 1,024, read one
// by one; what none of the first 256 of them has is rarer than that, and the rest of them is not
// read. Then by the index, span by span: LATERAL goes through the spans in the order given, and
// the limit ends that, so that no ticket is read that is not on the page. Zero is added so that no
// plan walks the index of all positions, and OFFSET 0 keeps each ticket a look-up of its own, in
// the order of the texts.
var searchTickets = `
WITH top AS MATERIALIZED (
  SELECT least($1::bigint, (SELECT coalesce(max(position), 0) + 1 FROM ticket_texts)) AS below
), newest AS MATERIALIZED (
  SELECT ` + ticketColumns + `, h.position FROM (
    SELECT ticket_id, position FROM ticket_texts
    WHERE position < (SELECT below FROM top) AND position >= (SELECT below FROM top) - 256 AND strpos(folded, $2) > 0
    ORDER BY position DESC) AS h, LATERAL (SELECT * FROM tickets t WHERE %[1]s OFFSET 0) AS t
  LIMIT $4
), rest AS MATERIALIZED (
  SELECT below - CASE WHEN EXISTS (SELECT FROM newest) THEN 1024 ELSE 256 END AS below FROM top
)
SELECT * FROM newest
UNION ALL
SELECT ` + ticketColumns + `, h.position FROM (
  SELECT ticket_id, position FROM ticket_texts
  WHERE position < (SELECT below FROM top) - 256 AND position >= (SELECT below FROM rest) AND strpos(folded, $2) > 0
  ORDER BY position DESC) AS h, LATERAL (SELECT * FROM tickets t WHERE %[1]s OFFSET 0) AS t
UNION ALL
SELECT ` + ticketColumns + `, h.position FROM generate_series(((SELECT below FROM rest) - 1) >> 16, 0, -1) AS span,
  LATERAL (SELECT array_agg(term || '/' || span) AS terms FROM unnest($3::text[]) AS term) AS sought,
  LATERAL (
    SELECT ticket_id, position FROM ticket_texts
    WHERE grams @> sought.terms AND position + 0 < (SELECT below FROM rest) AND strpos(folded, $2) > 0
    ORDER BY position + 0 DESC) AS h, LATERAL (SELECT * FROM tickets t WHERE %[1]s OFFSET 0) AS t
LIMIT $4`

// SearchTickets finds, among all tickets, those with a part of text, the newest first, before a
// position; further conditions are those of the filter.
func (q *Queries) SearchTickets(ctx context.Context, db pg.Sender, f TicketFilter, before int64) ([]FoundTicket, error) {
	args := []any{before, f.Text, textsearch.QueryTerms(f.Text), f.Size}
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	f.Text, f.whole = "", true
	where := append([]string{"t.id = h.ticket_id"}, f.conditions(bind)...)
	if len(f.States) > 0 {
		where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
	}
	if reach := f.reached(bind); reach != "" {
		where = append(where, reach)
	}
	// The plan goes by the index whatever the text is; making one took as long as running it.
	rows, err := pg.OnePlan{Sender: db}.Query(ctx, fmt.Sprintf(searchTickets, strings.Join(where, " AND ")), args...)
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
	or := []string{"t.registrar = " + bind(v.Actor)}
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
