package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// These statements are written by hand: what an analysis groups by differs from call to call,
// and sqlc does not understand how scores are put together.

// The OFFSET keeps the planner from joining the whole table of customers.
const insertAnswerScores = `
WITH scored AS (
INSERT INTO answer_scores (answer_id, questionnaire_id, answer_time, tier, kind, region, cause, scores)
SELECT a.id, a.questionnaire_id, a.answer_time, c.tier, c.kind, c.region,
  CASE WHEN a.ticket_id IS NOT NULL THEN 1 WHEN a.complaint_id IS NOT NULL THEN 2 WHEN a.invitation_id IS NOT NULL THEN 3 ELSE 4 END,
  ARRAY(SELECT coalesce((
      SELECT coalesce(r.score, array_position(q.choices, r.choice)) FROM question_slots q
      JOIN answer_responses r USING (question_key)
      WHERE q.questionnaire_id = a.questionnaire_id AND q.questionnaire_version = a.questionnaire_version AND q.slot = every.slot
        AND r.answer_id = a.id), -1)::smallint
    FROM generate_series(1, (SELECT max(q.slot) FROM question_slots q
      WHERE q.questionnaire_id = a.questionnaire_id AND q.questionnaire_version = a.questionnaire_version)) AS every (slot)
    ORDER BY every.slot)
FROM answers a LEFT JOIN LATERAL (SELECT * FROM customer_refs f WHERE f.id = a.customer_id OFFSET 0) c ON true
WHERE a.id = ANY($1::uuid[])
RETURNING answer_id, questionnaire_id)
INSERT INTO unflagged (answer_id, questionnaire_id) SELECT scored.answer_id, scored.questionnaire_id FROM scored`

// InsertAnswerScores writes the rows that analyses count, for answers whose responses are
// inserted, and notes that they are to be flagged.
func (q *Queries) InsertAnswerScores(ctx context.Context, db DBTX, answerIDs []uuid.UUID) error {
	_, err := db.Exec(ctx, insertAnswerScores, answerIDs)
	return err
}

// Dimension is something to group or filter by: a slot, or a column where the slot is 0.
type Dimension struct {
	Slot   int16
	Column Column
}

// Column is an attribute of an answer.
type Column string

// The columns of answer_scores that may be grouped by. All but the region are numbers.
const (
	TierColumn   Column = "tier"
	KindColumn   Column = "kind"
	RegionColumn Column = "region"
	CauseColumn  Column = "cause"
)

// expression is the dimension's SQL; it holds nothing that a caller wrote.
func (d Dimension) expression() string {
	if d.Slot > 0 {
		// Versions before the question have shorter rows.
		return fmt.Sprintf("coalesce(r.scores[%d], -1)", d.Slot)
	}
	switch d.Column {
	case TierColumn, KindColumn, CauseColumn:
		return fmt.Sprintf("coalesce(r.%s, -1)", string(d.Column))
	case RegionColumn:
		return "coalesce(r.region, '')"
	}
	panic("db: no column " + string(d.Column))
}

// Filter keeps answers whose dimension has one of the values.
type Filter struct {
	Dimension
	// Numbers for slots and numeric columns, Texts for the region.
	Numbers []int16
	Texts   []string
}

// Selection are the answers to count.
type Selection struct {
	QuestionnaireID uuid.UUID
	// From is included, To is not; nil is without bound.
	From, To *time.Time
	Filters  []Filter
	// Clean leaves out what cleaning excludes.
	Clean bool
}

// where writes the condition on answer_scores r and adds its arguments.
func (s Selection) where(args *[]any) string {
	bind := func(v any) string {
		*args = append(*args, v)
		return fmt.Sprintf("$%d", len(*args))
	}
	parts := []string{"r.questionnaire_id = " + bind(s.QuestionnaireID)}
	if s.From != nil {
		parts = append(parts, "r.answer_time >= "+bind(*s.From))
	}
	if s.To != nil {
		parts = append(parts, "r.answer_time < "+bind(*s.To))
	}
	if s.Clean {
		parts = append(parts, "NOT r.excluded")
	}
	for _, f := range s.Filters {
		if f.Slot == 0 && f.Column == RegionColumn {
			parts = append(parts, f.expression()+" = ANY("+bind(f.Texts)+"::text[])")
			continue
		}
		parts = append(parts, f.expression()+" = ANY("+bind(f.Numbers)+"::smallint[])")
	}
	return strings.Join(parts, " AND ")
}

// Cell is how often, among the answers of one combination of groups, X was answered to the
// question of a slot and Y to the overall one; Y is -1 where it was not answered.
type Cell struct {
	Slot int16
	X, Y int16
	// Period counts from 1, 0 without periods.
	Period int32
	// Groups has the value of each dimension in digits, or the region; -1 and empty where it is
	// not known.
	Groups []string
	N      int64
}

// CellQuery is what to count.
type CellQuery struct {
	Selection
	Slots []int16
	// Overall is the slot of the overall question, 0 without one.
	Overall    int16
	Dimensions []Dimension
	// Periods are the times at which periods begin, in order; none without periods.
	Periods []time.Time
}

// statement writes the GROUP BY of one slot. One statement for all of them would read the rows
// once, with a hash table as large as those of all slots together; it takes as long.
func (c CellQuery) statement(slot int16) (string, []any) {
	var args []any
	where := c.where(&args)
	x := Dimension{Slot: slot}.expression()
	columns := []string{x + " AS x", "-1 AS y", "0 AS period"}
	if c.Overall > 0 {
		columns[1] = Dimension{Slot: c.Overall}.expression() + " AS y"
	}
	if len(c.Periods) > 0 {
		args = append(args, c.Periods)
		columns[2] = fmt.Sprintf("width_bucket(r.answer_time, $%d::timestamptz[]) AS period", len(args))
	}
	var keys, texts []string
	for i, d := range c.Dimensions {
		columns = append(columns, fmt.Sprintf("%s AS g%d", d.expression(), i))
		keys, texts = append(keys, fmt.Sprintf(", g%d", i)), append(texts, fmt.Sprintf("g%d::text", i))
	}
	// The texts are made after counting, of few rows.
	return fmt.Sprintf(`SELECT x, y, period, ARRAY[%s]::text[], n FROM (
  SELECT %s, count(*) AS n FROM answer_scores r
  WHERE %s AND %s >= 0
  GROUP BY x, y, period%s
) cells`, strings.Join(texts, ", "), strings.Join(columns, ", "), where, x, strings.Join(keys, "")), args
}

// EachCell counts and gives each combination that occurs to take, in no order.
func (q *Queries) EachCell(ctx context.Context, db DBTX, query CellQuery, take func(Cell) error) error {
	for _, slot := range query.Slots {
		sql, args := query.statement(slot)
		rows, err := db.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		cell := Cell{Slot: slot}
		if _, err := pgx.ForEachRow(rows, []any{&cell.X, &cell.Y, &cell.Period, &cell.Groups, &cell.N}, func() error {
			return take(cell)
		}); err != nil {
			return err
		}
	}
	return nil
}

// CountAnswers gives how many answers a selection has, and how many of them answered each slot.
func (q *Queries) CountAnswers(ctx context.Context, db DBTX, of Selection, slots []int16) (answers int64, answered []int64, err error) {
	var args []any
	where := of.where(&args)
	counts := make([]string, len(slots))
	for i, slot := range slots {
		counts[i] = fmt.Sprintf("count(*) FILTER (WHERE r.scores[%d] >= 0)", slot)
	}
	sql := fmt.Sprintf("SELECT count(*), ARRAY[%s]::bigint[] FROM answer_scores r WHERE %s", strings.Join(counts, ", "), where)
	err = db.QueryRow(ctx, sql, args...).Scan(&answers, &answered)
	return answers, answered, err
}

// Span gives the times of the first and the last answer of a selection, nil without answers.
func (q *Queries) Span(ctx context.Context, db DBTX, of Selection) (first, last *time.Time, err error) {
	var args []any
	where := of.where(&args)
	err = db.QueryRow(ctx, "SELECT min(r.answer_time), max(r.answer_time) FROM answer_scores r WHERE "+where, args...).Scan(&first, &last)
	return first, last, err
}

// AllowLong lets the transaction's statements take longer than those of ordinary calls, and
// count in memory what would be 4 MB by default and then go to disk.
func (q *Queries) AllowLong(ctx context.Context, db DBTX, limit time.Duration) error {
	_, err := db.Exec(ctx, "SELECT set_config('statement_timeout', $1, true), set_config('work_mem', '32MB', true)", fmt.Sprint(limit.Milliseconds()))
	return err
}
