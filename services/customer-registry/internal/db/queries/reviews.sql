-- name: CountAccessRequests :one
SELECT count(*)::int AS lodged,
  (count(*) FILTER (WHERE state = 1))::int AS pending,
  (count(*) FILTER (WHERE state IN (2, 4)))::int AS approved,
  (count(*) FILTER (WHERE state = 3))::int AS refused,
  (count(*) FILTER (WHERE state = 4))::int AS revoked,
  (count(*) FILTER (WHERE outsider IS NOT NULL))::int AS outsiders
FROM access_requests WHERE create_time >= @start_time AND create_time < @end_time;

-- name: CountBreakGlasses :one
SELECT count(*)::int AS opened,
  (count(*) FILTER (WHERE justified))::int AS justified,
  (count(*) FILTER (WHERE NOT justified))::int AS unjustified,
  (count(*) FILTER (WHERE reviewer IS NULL))::int AS unreviewed
FROM break_glasses WHERE create_time >= @start_time AND create_time < @end_time;

-- name: CountExtracts :one
SELECT count(*)::int FROM access_extracts WHERE create_time >= @start_time AND create_time < @end_time;

-- name: CountUnmasks :one
SELECT count(*)::int FROM unmasks WHERE unmask_time >= @start_time AND unmask_time < @end_time;

-- name: TookPart :one
-- Whether somebody read, asked, decided, opened, reviewed or unmasked in a span, or held a grant
-- then: what a review is about.
SELECT EXISTS (
  SELECT 1 FROM file_reads f WHERE f.reader = @actor AND f.read_time >= @start_time AND f.read_time < @end_time
  UNION ALL
  SELECT 1 FROM access_requests r WHERE r.asker = @actor AND r.create_time < @end_time
    AND (r.create_time >= @start_time OR r.end_time > @start_time)
  UNION ALL
  SELECT 1 FROM access_requests r WHERE r.decider = @actor AND r.decide_time < @end_time
    AND (r.decide_time >= @start_time OR r.end_time > @start_time)
  UNION ALL
  SELECT 1 FROM break_glasses b WHERE b.create_time >= @start_time AND b.create_time < @end_time
    AND (b.actor = @actor OR b.reviewer = @actor)
  UNION ALL
  SELECT 1 FROM unmasks u WHERE u.actor = @actor AND u.unmask_time >= @start_time AND u.unmask_time < @end_time
);

-- name: ListReaders :many
-- Who read files in a span, with the reads of their busiest day in the zone. Nobody in the
-- directory whose identity two claim.
WITH days AS (
  SELECT f.reader, (f.read_time AT TIME ZONE @zone::text)::date AS day, count(*) AS reads
  FROM file_reads f WHERE f.read_time >= @start_time AND f.read_time < @end_time GROUP BY 1, 2
), busiest AS (
  SELECT d.reader, max(d.reads)::int AS busiest_day FROM days d GROUP BY d.reader
), totals AS (
  SELECT f.reader, count(*)::int AS reads, count(DISTINCT f.customer_id)::int AS customers,
    (count(*) FILTER (WHERE f.basis = 1))::int AS by_role, (count(*) FILTER (WHERE f.basis = 2))::int AS by_team,
    (count(*) FILTER (WHERE f.basis = 3))::int AS by_grant, (count(*) FILTER (WHERE f.basis = 4))::int AS by_break_glass,
    (count(*) FILTER (WHERE f.basis = 5))::int AS by_ticket, max(f.read_time)::timestamptz AS last_read_time
  FROM file_reads f WHERE f.read_time >= @start_time AND f.read_time < @end_time GROUP BY f.reader
), known AS (
  SELECT (d.issuer || '|' || d.subject)::text AS actor, min(d.id::text) AS id
  FROM directory_staff d GROUP BY 1 HAVING count(*) = 1
)
SELECT t.reader, t.reads, t.customers, t.by_role, t.by_team, t.by_grant, t.by_break_glass, t.by_ticket, t.last_read_time,
  b.busiest_day, coalesce(s.id, '')::text AS staff_id
FROM totals t JOIN busiest b ON b.reader = t.reader LEFT JOIN known s ON s.actor = t.reader
ORDER BY t.reads DESC, t.reader;

-- name: ListClearances :many
-- By which clearances files were read in a span: those of roles, of roles in the account team,
-- and of tickets, which count as one.
SELECT f.reader, (CASE WHEN f.basis = 5 THEN 'ticket' ELSE f.access_right END)::text AS access_right, f.basis,
  count(*)::int AS reads, max(f.read_time)::timestamptz AS last_use_time
FROM file_reads f WHERE f.read_time >= @start_time AND f.read_time < @end_time AND f.basis IN (1, 2, 5)
GROUP BY 1, 2, 3 ORDER BY 1, 3, 2;

-- name: ListGrantUses :many
-- The grants that were in force at some time of a span, the latest first, with what was done
-- under them in it: reads, or extracts for somebody outside.
WITH known AS (
  SELECT (d.issuer || '|' || d.subject)::text AS actor, min(d.id::text) AS id
  FROM directory_staff d GROUP BY 1 HAVING count(*) = 1
), granted AS (
  SELECT r.id, 3::smallint AS basis, 'grant:' || r.id::text AS access_right, r.asker AS holder, r.decider,
    r.decide_time AS start_time, r.end_time, r.state = 4 AS revoked, r.outsider IS NOT NULL AS outsider,
    ARRAY(SELECT c.customer_id FROM access_request_customers c WHERE c.request_id = r.id ORDER BY 1) AS customer_ids
  FROM access_requests r WHERE r.end_time > @start_time AND r.decide_time < @end_time
  UNION ALL
  SELECT b.id, 4::smallint, 'break-glass:' || b.id::text, b.actor, b.reviewer, b.create_time, b.end_time, false, false, ARRAY[b.customer_id]
  FROM break_glasses b
  WHERE b.end_time > @start_time AND b.create_time < @end_time
)
SELECT g.id::uuid AS id, (g.basis = 4)::boolean AS break_glass, g.holder::text AS holder, coalesce(g.decider, '')::text AS decider,
  g.start_time::timestamptz AS start_time, g.end_time::timestamptz AS end_time, g.revoked::boolean AS revoked, g.outsider::boolean AS outsider,
  g.customer_ids::uuid[] AS customer_ids, coalesce(s.id, '')::text AS staff_id,
  u.uses::int AS uses, coalesce(u.last_use_time, 'epoch')::timestamptz AS last_use_time
FROM granted g LEFT JOIN known s ON s.actor = g.holder
CROSS JOIN LATERAL (
  SELECT count(*) AS uses, max(a.at) AS last_use_time FROM (
    SELECT f.read_time AS at FROM file_reads f
    WHERE NOT g.outsider AND f.reader = g.holder AND f.basis = g.basis AND f.basis IN (3, 4)
      AND f.read_time >= greatest(g.start_time, @start_time) AND f.read_time < least(g.end_time, @end_time)
      AND (f.access_right = g.access_right OR f.access_right = '' AND f.customer_id = ANY (g.customer_ids))
    UNION ALL
    SELECT e.create_time FROM access_extracts e
    WHERE g.outsider AND e.request_id = g.id AND e.create_time >= @start_time AND e.create_time < @end_time
  ) a
) u
ORDER BY g.id DESC;

-- name: FirstAccess :one
-- When there was first something to review; now where there was nothing.
SELECT coalesce(least((SELECT min(read_time) FROM file_reads), (SELECT min(create_time) FROM access_requests),
  (SELECT min(create_time) FROM break_glasses)), @now::timestamptz)::timestamptz AS first_time;

-- name: ListSignedQuarters :many
SELECT quarter FROM access_reviews;

-- name: ListToldQuarters :many
SELECT quarter FROM access_reviews UNION SELECT quarter FROM access_review_notices;

-- name: InsertAccessReviewNotice :execrows
INSERT INTO access_review_notices (quarter, tell_time) VALUES (@quarter, @tell_time) ON CONFLICT (quarter) DO NOTHING;

-- name: InsertAccessReview :execrows
INSERT INTO access_reviews (quarter, signer, sign_time, report) VALUES (@quarter, @signer, @sign_time, @report)
ON CONFLICT (quarter) DO NOTHING;

-- name: GetAccessReview :one
SELECT * FROM access_reviews WHERE quarter = @quarter;

-- name: ListAccessReviews :many
SELECT * FROM access_reviews WHERE quarter < @before ORDER BY quarter DESC LIMIT @count;
