package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// These statements are written by hand: what an analysis groups by differs from call to call,
// and sqlc does not understand how scores are put together.

// The OFFSET keeps the planner from joining the whole table of customers.
const insertAnswerScores = `
WITH scored AS (
INSERT INTO answer_scores (answer_id, questionnaire_id, answer_time, tier, kind, region, cause, scores)
SELECT a.id, a.questionnaire_id, a.answer_time, c.tier, c.kind, c.region,
  CASE WHEN a.ticket_id IS NOT NULL THEN 1 WHEN a.complaint_id IS NOT NULL THEN 2 WHEN i.campaign_id IS NOT NULL THEN 5
    WHEN i.cause_trigger IS NOT NULL THEN 6 WHEN a.source IS NULL THEN 3 ELSE 4 END,
  ARRAY(SELECT coalesce((
      SELECT coalesce(r.score, array_position(q.choices, r.choice)) FROM question_slots q
      JOIN answer_responses r USING (question_key)
      WHERE q.questionnaire_id = a.questionnaire_id AND q.questionnaire_version = a.questionnaire_version AND q.slot = every.slot
        AND r.answer_id = a.id), -1)::smallint
    FROM generate_series(1, (SELECT max(q.slot) FROM question_slots q
      WHERE q.questionnaire_id = a.questionnaire_id AND q.questionnaire_version = a.questionnaire_version)) AS every (slot)
    ORDER BY every.slot)
FROM answers a LEFT JOIN LATERAL (SELECT * FROM customer_refs f WHERE f.id = a.customer_id OFFSET 0) c ON true
LEFT JOIN LATERAL (SELECT * FROM invitations n WHERE n.id = a.invitation_id OFFSET 0) i ON true
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

// region tells the dimension that is a text from those that are numbers.
func (d Dimension) region() bool { return d.Slot == 0 && d.Column == RegionColumn }

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
		if f.region() {
			parts = append(parts, f.expression()+" = ANY("+bind(f.Texts)+"::text[])")
			continue
		}
		parts = append(parts, f.expression()+" = ANY("+bind(f.Numbers)+"::smallint[])")
	}
	return strings.Join(parts, " AND ")
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

// statement reads what is counted of each answer: its scores, its period, the region and the
// other dimensions as numbers.
func (c CellQuery) statement() (string, []any) {
	var args []any
	where := c.where(&args)
	period, region := "0", "''"
	if len(c.Periods) > 0 {
		args = append(args, c.Periods)
		period = fmt.Sprintf("width_bucket(r.answer_time, $%d::timestamptz[])", len(args))
	}
	var columns string
	for _, d := range c.Dimensions {
		switch {
		case d.region():
			region = d.expression()
		case d.Slot == 0:
			columns += ", " + d.expression() + "::smallint"
		}
	}
	return fmt.Sprintf("SELECT r.scores, %s, %s%s FROM answer_scores r WHERE %s", period, region, columns, where), args
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

// AllowLong lets the transaction's statements take longer than those of ordinary calls.
func (q *Queries) AllowLong(ctx context.Context, db DBTX, limit time.Duration) error {
	_, err := db.Exec(ctx, "SELECT set_config('statement_timeout', $1, true)", fmt.Sprint(limit.Milliseconds()))
	return err
}
