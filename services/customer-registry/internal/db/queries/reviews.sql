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

-- name: HasRead :one
SELECT EXISTS (SELECT FROM file_reads WHERE reader = @reader AND read_time >= @start_time AND read_time < @end_time);

-- name: ListReaders :many
-- Who read files in a span, with the reads of their busiest day in the zone.
WITH days AS (
  SELECT f.reader, (f.read_time AT TIME ZONE @zone::text)::date AS day, count(*) AS reads
  FROM file_reads f WHERE f.read_time >= @start_time AND f.read_time < @end_time GROUP BY 1, 2
), busiest AS (
  SELECT d.reader, max(d.reads)::int AS busiest_day FROM days d GROUP BY d.reader
), totals AS (
  SELECT f.reader, count(*)::int AS reads, count(DISTINCT f.customer_id)::int AS customers,
    (count(*) FILTER (WHERE f.basis = 1))::int AS by_role, (count(*) FILTER (WHERE f.basis = 2))::int AS by_team,
    (count(*) FILTER (WHERE f.basis = 3))::int AS by_grant, (count(*) FILTER (WHERE f.basis = 4))::int AS by_break_glass,
    (count(*) FILTER (WHERE f.basis = 5))::int AS by_ticket
  FROM file_reads f WHERE f.read_time >= @start_time AND f.read_time < @end_time GROUP BY f.reader
)
SELECT t.reader, t.reads, t.customers, t.by_role, t.by_team, t.by_grant, t.by_break_glass, t.by_ticket, b.busiest_day, s.id AS staff_id
FROM totals t JOIN busiest b ON b.reader = t.reader
LEFT JOIN directory_staff s ON s.issuer || '|' || s.subject = t.reader
ORDER BY t.reads DESC, t.reader LIMIT @count;

-- name: InsertAccessReview :execrows
INSERT INTO access_reviews (quarter, signer, sign_time, report) VALUES (@quarter, @signer, @sign_time, @report)
ON CONFLICT (quarter) DO NOTHING;

-- name: GetAccessReview :one
SELECT * FROM access_reviews WHERE quarter = @quarter;

-- name: ListAccessReviews :many
SELECT * FROM access_reviews WHERE quarter < @before ORDER BY quarter DESC LIMIT @count;
