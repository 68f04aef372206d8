-- name: UpdateSummaryFile :exec
UPDATE customer_summaries SET name = @name, kind = @kind, region = @region, tier = @tier,
  owner_staff_id = @owner_staff_id, status = @status
WHERE customer_id = @customer_id;

-- name: ListSearchWords :many
-- What a customer is found by, the names of the newest 200 contacts among it.
(SELECT unnest(ARRAY[c.name, c.number, c.region] || c.tags)::text AS word FROM customers c WHERE c.id = @customer_id)
UNION ALL
(SELECT p.name FROM contacts p WHERE p.customer_id = @customer_id AND p.delete_time IS NULL ORDER BY p.id DESC LIMIT 200);

-- name: SetSearchText :exec
UPDATE customer_summaries SET folded = @folded, grams = @grams WHERE customer_id = @customer_id AND folded <> @folded;

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
  open_complaints, position
FROM customer_summaries
WHERE customer_id < @before
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY customer_id DESC LIMIT @count;

-- name: LastPosition :one
SELECT coalesce(max(position), 0)::bigint FROM customer_summaries;

-- name: SearchNewest :many
-- The newest customers one by one: what many have is found among them at once.
SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
  open_complaints, position
FROM customer_summaries
WHERE position < @before::bigint AND position >= @since::bigint AND strpos(folded, @folded) > 0
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY position DESC LIMIT @count;

-- name: SearchSpans :many
-- Customers of some spans of positions by the index. The whole of what it finds is put in
-- order afterwards: walking all customers for a page would take seconds where few match.
-- Zero is added so that no plan reads the index of all positions, which keep little out.
WITH hits AS MATERIALIZED (
  SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
  open_complaints, position
  FROM customer_summaries
  WHERE (position >> 14) = ANY(@spans::bigint[]) AND position + 0 < @before::bigint
    AND grams @> @grams::text[] AND strpos(folded, @folded) > 0
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
)
SELECT * FROM hits ORDER BY position DESC LIMIT @count;

-- name: SearchRest :many
WITH hits AS MATERIALIZED (
  SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
  open_complaints, position
  FROM customer_summaries
  WHERE position + 0 < @before::bigint AND grams @> @grams::text[] AND strpos(folded, @folded) > 0
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
)
SELECT * FROM hits ORDER BY position DESC LIMIT @count;

-- name: ListNewestFound :many
-- Those of some customers who are newest, by the index alone.
SELECT customer_id FROM customer_summaries
WHERE customer_id = ANY(@found::uuid[]) AND position < @before::bigint ORDER BY position DESC LIMIT @count;

-- name: ListFound :many
SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
  open_complaints, position
FROM customer_summaries
WHERE customer_id = ANY(@found::uuid[]) AND position < @before::bigint
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY position DESC LIMIT @count;

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
