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

-- name: SearchText :many
-- The newest customers with a text. What one in twenty has fills a page from the newest 1,024, read
-- one by one; what none of the first 256 of them has is rarer than that, and the rest of them is not
-- read. Then by the index, span by span: LATERAL goes through the spans in the order given, and the
-- limit ends that, so that no span is looked at whose customers are not on the page. Zero is added
-- so that no plan walks the index of all positions.
WITH top AS MATERIALIZED (
  SELECT least(@before::bigint, (SELECT coalesce(max(position), 0) + 1 FROM customer_summaries)) AS below
), newest AS MATERIALIZED (
  SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
    open_complaints, position
  FROM customer_summaries
  WHERE position < (SELECT below FROM top) AND position >= (SELECT below FROM top) - 256 AND strpos(folded, @folded) > 0
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
    AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
    AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
    AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
  ORDER BY position DESC LIMIT @count
), rest AS MATERIALIZED (
  SELECT below - CASE WHEN EXISTS (SELECT FROM newest) THEN 1024 ELSE 256 END AS below FROM top
)
SELECT * FROM newest
UNION ALL
(SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
    open_complaints, position
  FROM customer_summaries
  WHERE position < (SELECT below FROM top) - 256 AND position >= (SELECT below FROM rest) AND strpos(folded, @folded) > 0
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
    AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
    AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
    AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
  ORDER BY position DESC)
UNION ALL
SELECT older.* FROM generate_series(((SELECT below FROM rest) - 1) >> 16, 0, -1) AS span,
  LATERAL (SELECT array_agg(term || '/' || span)::text[] AS terms FROM unnest(@terms::text[]) AS term) AS sought,
  LATERAL (SELECT customer_id, number, name, kind, region, tier, owner_staff_id, status, last_contact_time, open_tickets,
    open_complaints, position
  FROM customer_summaries
  WHERE grams @> sought.terms AND position + 0 < (SELECT below FROM rest) AND strpos(folded, @folded) > 0
    AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
    AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
    AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
    AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
  ORDER BY position + 0 DESC) AS older
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
