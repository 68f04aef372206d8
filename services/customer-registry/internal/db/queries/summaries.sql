-- name: UpdateSummaryFile :exec
UPDATE customer_summaries SET name = @name, kind = @kind, region = @region, tier = @tier,
  owner_staff_id = @owner_staff_id, status = @status, folded = @folded, grams = @grams
WHERE customer_id = @customer_id;

-- name: SetSummaryTier :exec
UPDATE customer_summaries SET tier = @tier WHERE customer_id = @customer_id;

-- name: CountSummaryOrder :exec
UPDATE customer_summaries SET orders = orders + 1 WHERE customer_id = @customer_id;

-- name: GetSummary :one
SELECT * FROM customer_summaries WHERE customer_id = @customer_id;

-- name: LockSummaries :many
SELECT customer_id FROM customer_summaries WHERE customer_id = ANY(@customer_ids::uuid[])
ORDER BY customer_id FOR UPDATE;

-- name: ListSummaries :many
SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
  open_complaints
FROM customer_summaries
WHERE customer_id < @before
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
  AND (sqlc.narg('grams')::text[] IS NULL AND sqlc.narg('found')::uuid[] IS NULL
    OR grams @> sqlc.narg('grams')::text[] AND strpos(folded, @folded::text) > 0
    OR customer_id = ANY(sqlc.narg('found')::uuid[]))
ORDER BY customer_id DESC LIMIT @count;

-- name: RefreshOpenCases :exec
UPDATE customer_summaries s SET
  open_tickets = (SELECT count(*) FROM cases c WHERE c.customer_id = s.customer_id AND c.kind = 1 AND c.open),
  open_complaints = (SELECT count(*) FROM cases c WHERE c.customer_id = s.customer_id AND c.kind = 2 AND c.open)
WHERE s.customer_id = ANY(@customer_ids::uuid[]);

-- name: RefreshScores :exec
UPDATE customer_summaries s SET (score_sum, scores) = (
  SELECT coalesce(sum(t.score), 0), count(*) FROM timeline t WHERE t.customer_id = s.customer_id AND t.score > 0)
WHERE s.customer_id = ANY(@customer_ids::uuid[]);

-- name: RefreshLastContact :exec
UPDATE customer_summaries s SET last_contact_time = (
  SELECT max(t.occur_time) FROM timeline t WHERE t.customer_id = s.customer_id AND t.contact)
WHERE s.customer_id = ANY(@customer_ids::uuid[]);
