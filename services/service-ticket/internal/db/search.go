package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	// newestTexts is how many tickets are read one by one before the index is asked. What
	// one in twenty has fills a page from them.
	newestTexts = 1024
	// textSpanBits make a span: the index begins with it.
	textSpanBits = 14
)

// textSteps are how many spans, going back, the index is asked for at a time. What many have is
// found in the first, and what the first do not have is rare enough to be read as a whole.
func textSteps() []int64 { return []int64{2, 8, 32} }

// FoundTicket is a ticket with its position.
type FoundTicket struct {
	Ticket
	Position int64
}

// SearchTickets finds, among all tickets, those with a part of text, the newest first, before a
// position; further conditions are those of the filter. Common texts are found among the
// newest, rare ones by the index; between the two the index is asked for spans of tickets,
// so that nobody reads all that have a text to show a page.
func (q *Queries) SearchTickets(ctx context.Context, db pg.Sender, f TicketFilter, grams []string, before int64) ([]FoundTicket, error) {
	var last int64
	if err := db.QueryRow(ctx, "SELECT coalesce(max(position), 0) FROM ticket_texts").Scan(&last); err != nil {
		return nil, err
	}
	w := &textWalk{db: db, filter: f, grams: grams, before: min(before, last+1)}
	since := max(0, w.before-newestTexts)
	if err := w.read(ctx, since, nil, false); err != nil {
		return nil, err
	}
	for _, n := range textSteps() {
		if w.done() {
			return w.rows, nil
		}
		top := (w.before - 1) >> textSpanBits
		floor := max(0, top-n+1)
		spans := make([]int64, 0, n)
		for span := top; span >= floor; span-- {
			spans = append(spans, span)
		}
		if err := w.read(ctx, floor<<textSpanBits, spans, true); err != nil {
			return nil, err
		}
	}
	if w.done() {
		return w.rows, nil
	}
	return w.rows, w.read(ctx, 0, nil, true)
}

// textWalk is a search on its way back from before.
type textWalk struct {
	db     pg.Sender
	filter TicketFilter
	grams  []string
	before int64
	rows   []FoundTicket
}

func (w *textWalk) done() bool { return int32(len(w.rows)) >= w.filter.Size || w.before <= 1 }

// read finds what has the text from since on, in the spans given, and goes back to there. The
// whole of what the index finds is put in order afterwards: walking all tickets for a page
// would take seconds where few match.
func (w *textWalk) read(ctx context.Context, since int64, spans []int64, indexed bool) error {
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	text := w.filter.Text
	cond := "x.position < " + bind(w.before) + "::bigint AND x.position >= " + bind(since) + "::bigint AND strpos(x.folded, " + bind(text) + ") > 0"
	if indexed {
		cond += " AND x.grams @> " + bind(w.grams) + "::text[]"
	}
	if spans != nil {
		cond += " AND (x.position >> 14) = ANY(" + bind(spans) + "::bigint[])"
	}
	f := w.filter
	f.Text, f.whole = "", true
	sql := "SELECT t.*, h.position FROM (SELECT x.ticket_id, x.position FROM ticket_texts x WHERE " + cond + ") h JOIN tickets t ON t.id = h.ticket_id"
	if indexed {
		sql = "WITH h AS MATERIALIZED (SELECT x.ticket_id, x.position FROM ticket_texts x WHERE " + cond + ") SELECT t.*, h.position FROM h JOIN tickets t ON t.id = h.ticket_id"
	}
	where := f.conditions(bind)
	if len(f.States) > 0 {
		where = append(where, "t.state = ANY("+bind(f.States)+"::smallint[])")
	}
	if reach := f.reached(bind); reach != "" {
		where = append(where, reach)
	}
	if len(where) > 0 {
		sql += all(where)
	}
	sql += " ORDER BY h.position DESC LIMIT " + strconv.Itoa(int(w.filter.Size)-len(w.rows))
	// A plan for any arguments cannot know whether a text is rare.
	rows, err := w.db.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[FoundTicket])
	w.rows, w.before = append(w.rows, found...), since
	return err
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
