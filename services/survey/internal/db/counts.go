package db

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// These two statements are written by hand because sqlc does not understand LATERAL.

// itemsOf are the values that the invitation or answer u adds to the counts: of multiple choice
// and of a ranking one a choice beside the empty one, which says that the question was answered;
// that of a ranking is `choice#place`. A text is the empty one too, and so is a number or day
// that was erased. The OFFSET keeps the planner from joining whole tables instead of looking
// each one up.
const itemsOf = `LATERAL (
  SELECT r.questionnaire_id, r.questionnaire_version, r.question_key, coalesce(r.score::text, r.choice, r.number::text,
    to_char(r.day, 'YYYY-MM-DD'), '') AS value
  FROM answer_responses r WHERE r.answer_id = u.id
  UNION ALL
  SELECT r.questionnaire_id, r.questionnaire_version, r.question_key, pick
  FROM answer_responses r, unnest(r.picks) AS pick WHERE r.answer_id = u.id
  UNION ALL
  SELECT r.questionnaire_id, r.questionnaire_version, r.question_key, rank.pick || '#' || rank.place
  FROM answer_responses r, unnest(r.ranks) WITH ORDINALITY AS rank (pick, place) WHERE r.answer_id = u.id
  UNION ALL
  SELECT a.questionnaire_id, a.questionnaire_version, '', CASE WHEN a.source IS NOT NULL THEN 'imported' ELSE 'answered' END
  FROM answers a WHERE a.id = u.id
  UNION ALL
  SELECT i.questionnaire_id, i.questionnaire_version, '', 'asked'
  FROM invitations i WHERE i.id = u.id
  OFFSET 0
)`

// The planner's notion of how much is uncounted is often old, and with it the cost would
// look so high that compiling the statement takes longer than running it. Of an array it
// assumes ten.
const readCounts = `
SELECT questionnaire_version, question_key, value, sum(n)::bigint AS n FROM (
  SELECT questionnaire_version, question_key, value, n FROM counts
  WHERE questionnaire_id = $1 AND questionnaire_version BETWEEN $2 AND $3
  UNION ALL
  SELECT items.questionnaire_version, items.question_key, items.value, 1
  FROM unnest(ARRAY(SELECT id FROM uncounted)) AS u(id), ` + itemsOf + ` items
  WHERE items.questionnaire_id = $1 AND items.questionnaire_version BETWEEN $2 AND $3
) every
GROUP BY questionnaire_version, question_key, value`

// ReadCountsRow is how often a value was given; see the table counts.
type ReadCountsRow struct {
	QuestionnaireVersion int32
	QuestionKey          string
	Value                string
	N                    int64
}

// ReadCounts gives the exact counts of a range of versions. One statement sees one moment:
// what is folded meanwhile is counted once.
func (q *Queries) ReadCounts(ctx context.Context, db DBTX, questionnaireID uuid.UUID, firstVersion, lastVersion int32) ([]ReadCountsRow, error) {
	rows, err := db.Query(ctx, readCounts, questionnaireID, firstVersion, lastVersion)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ReadCountsRow])
}

// Rows are locked in one order, so that two folds wait for each other and never deadlock.
const foldCounts = `
WITH u AS (
  DELETE FROM uncounted WHERE id = ANY(ARRAY(
    SELECT id FROM uncounted LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING id
)
INSERT INTO counts (questionnaire_id, questionnaire_version, question_key, value, n)
SELECT items.questionnaire_id, items.questionnaire_version, items.question_key, items.value, count(*)
FROM u, ` + itemsOf + ` items
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (questionnaire_id, questionnaire_version, question_key, value) DO UPDATE SET n = counts.n + excluded.n`

// FoldCounts moves at most size invitations and answers into the counts and tells whether
// there were any.
func (q *Queries) FoldCounts(ctx context.Context, db DBTX, size int32) (bool, error) {
	tag, err := db.Exec(ctx, foldCounts, size)
	return tag.RowsAffected() > 0, err
}

// discountAnswer takes in the order of a fold, so that the two never wait for each other in a ring.
const discountAnswer = `
UPDATE counts c SET n = c.n - w.n FROM (
  SELECT k.questionnaire_id, k.questionnaire_version, k.question_key, k.value, i.n
  FROM counts k JOIN (
    SELECT items.questionnaire_id, items.questionnaire_version, items.question_key, items.value, count(*) AS n
    FROM (SELECT $1::uuid AS id) u, ` + itemsOf + ` items GROUP BY 1, 2, 3, 4
  ) i USING (questionnaire_id, questionnaire_version, question_key, value)
  ORDER BY 1, 2, 3, 4 FOR UPDATE OF k
) w WHERE c.questionnaire_id = w.questionnaire_id AND c.questionnaire_version = w.questionnaire_version
  AND c.question_key = w.question_key AND c.value = w.value`

// DiscountAnswer takes an answer that was folded, and whose responses are there still, out of the
// counts.
func (q *Queries) DiscountAnswer(ctx context.Context, db DBTX, answerID uuid.UUID) error {
	_, err := db.Exec(ctx, discountAnswer, answerID)
	return err
}

const countWithdrawn = `
INSERT INTO counts (questionnaire_id, questionnaire_version, question_key, value, n) VALUES ($1, $2, '', 'withdrawn', 1)
ON CONFLICT (questionnaire_id, questionnaire_version, question_key, value) DO UPDATE SET n = counts.n + 1`

// CountWithdrawn counts that an answer was withdrawn: with it the state of the counts never
// returns to an earlier one.
func (q *Queries) CountWithdrawn(ctx context.Context, db DBTX, questionnaireID uuid.UUID, version int32) error {
	_, err := db.Exec(ctx, countWithdrawn, questionnaireID, version)
	return err
}
