-- name: UpdateSummaryFile :exec
UPDATE customer_summaries SET name = @name, kind = @kind, region = @region, tier = @tier,
  owner_staff_id = @owner_staff_id, status = @status
WHERE customer_id = @customer_id;

-- name: ListSearchWords :many
-- What a customer is found by, the names of the newest 200 contacts among it.
(SELECT unnest(ARRAY[c.name, c.number, c.region] || c.tags)::text AS word FROM customers c WHERE c.id = @customer_id)
UNION ALL
(SELECT p.name FROM contacts p WHERE p.customer_id = @customer_id AND p.delete_time IS NULL ORDER BY p.id DESC LIMIT 200);

-- name: LockSearchText :one
SELECT position FROM customer_summaries WHERE customer_id = @customer_id FOR UPDATE;

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

-- name: SearchMarked :many
-- The newest customers one by one, then span by span those that the index has under the mark and
-- the span: LATERAL goes through the spans in the order given, and the limit ends that, so that
-- no span is looked at whose customers are not on the page. Zero is added so that no plan walks
-- the index of all positions.
WITH top AS MATERIALIZED (
  SELECT least(@before::bigint, (SELECT coalesce(max(position), 0) + 1 FROM customer_summaries)) AS below
)
SELECT hits.* FROM top, LATERAL (
  (SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
    open_complaints, position
  FROM customer_summaries
  WHERE position < top.below AND position >= top.below - 256 AND strpos(folded, @mark::text) > 0
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
    AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
    AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
    AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
  ORDER BY position DESC)
  UNION ALL
  SELECT marked.* FROM generate_series((top.below - 257) >> 14, 0, -1) AS span, LATERAL (
    SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
    open_complaints, position
    FROM customer_summaries
    WHERE grams @> ARRAY[@mark::text || '/' || span] AND position + 0 < top.below - 256
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
    AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
    AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
    AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
    ORDER BY position + 0 DESC) AS marked
) AS hits
LIMIT @count;

-- name: ListPhoneEnds :many
-- Whose phone ends in four digits, those of contacts too. Who of them is newest is read of the
-- indexes alone.
WITH newest AS MATERIALIZED (
  SELECT s.position FROM (SELECT id FROM customers WHERE customers.phone_last4_index = @index::bytea
    UNION SELECT customer_id FROM contacts WHERE contacts.phone_last4_index = @index::bytea) AS who
  JOIN customer_summaries s ON s.customer_id = who.id
  WHERE s.position < @before::bigint ORDER BY s.position DESC LIMIT @count
)
SELECT s.customer_id, s.number, s.name, s.kind, s.region, s.tier, s.owner_staff_id, s.status, s.last_contact_time,
  s.open_tickets, s.open_complaints, s.position
FROM newest JOIN customer_summaries s ON s.position = newest.position ORDER BY s.position DESC;

-- name: FilterPhoneEnds :many
-- ListPhoneEnds with conditions.
SELECT s.customer_id, s.number, s.name, s.kind, s.region, s.tier, s.owner_staff_id, s.status, s.last_contact_time,
  s.open_tickets, s.open_complaints, s.position
FROM (SELECT id FROM customers WHERE customers.phone_last4_index = @index::bytea
    UNION SELECT customer_id FROM contacts WHERE contacts.phone_last4_index = @index::bytea) AS who
JOIN customer_summaries s ON s.customer_id = who.id
WHERE s.position < @before::bigint
  AND (sqlc.narg('tier')::smallint IS NULL OR s.tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR s.status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR s.region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR s.owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY s.position DESC LIMIT @count;

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
