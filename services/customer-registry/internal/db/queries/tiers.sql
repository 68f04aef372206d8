-- name: InsertTierRun :execrows
INSERT INTO tier_runs (id, model_id, as_of_time, state, schedule, author, create_time, revision)
VALUES (sqlc.arg(id), sqlc.arg(model_id), sqlc.arg(as_of_time), 1, sqlc.arg(schedule), sqlc.arg(author), sqlc.arg(create_time), 1)
ON CONFLICT ON CONSTRAINT tier_runs_schedule_key DO NOTHING;

-- name: TierRunScheduled :one
SELECT EXISTS (SELECT FROM tier_runs WHERE schedule = sqlc.arg(schedule)::text);

-- name: GetTierRun :one
SELECT * FROM tier_runs WHERE id = sqlc.arg(id);

-- name: LockTierRun :one
SELECT * FROM tier_runs WHERE id = sqlc.arg(id) FOR UPDATE;

-- name: LockTierRunToWork :one
SELECT * FROM tier_runs WHERE state IN (1, 3) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: ListTierRuns :many
SELECT * FROM tier_runs WHERE id < sqlc.arg(before) ORDER BY id DESC LIMIT sqlc.arg(count);

-- name: LastAppliedTierRun :one
SELECT id FROM tier_runs WHERE state IN (3, 4) ORDER BY id DESC LIMIT 1;

-- name: TierRunAppliedBefore :one
SELECT id FROM tier_runs WHERE state = 4 AND id < sqlc.arg(id) ORDER BY id DESC LIMIT 1;

-- name: ApplyingTierRun :one
SELECT id FROM tier_runs WHERE state = 3;

-- name: BeginTierRun :exec
UPDATE tier_runs SET state = 3, applier = sqlc.arg(applier)::text, revision = revision + 1 WHERE id = sqlc.arg(id);

-- name: AdvanceTierRun :exec
UPDATE tier_runs SET after_id = sqlc.arg(after_id), moved = moved + sqlc.arg(moved)::bigint, revision = revision + 1 WHERE id = sqlc.arg(id);

-- name: EndTierRun :exec
UPDATE tier_runs SET state = 4, apply_time = sqlc.arg(apply_time)::timestamptz, revision = revision + 1 WHERE id = sqlc.arg(id);

-- name: DeleteOldTierScores :exec
-- The last two applied runs keep theirs, and so do those that may yet be applied.
DELETE FROM tier_scores WHERE run_id IN (
  SELECT r.id FROM tier_runs r WHERE r.id < (
    SELECT a.id FROM tier_runs a WHERE a.state = 4 ORDER BY a.id DESC OFFSET 1 LIMIT 1));

-- name: ScoreCustomers :exec
-- One pass over customers and orders. Amounts are summed exactly, in billionths, and become
-- floating numbers once; the rank is the share of the others below.
WITH rates AS (
  SELECT unnest(sqlc.arg(codes)::text[]) AS code, unnest(sqlc.arg(rates)::text[])::numeric AS rate
), bought AS (
  SELECT o.customer_id, min(o.order_time) AS first_time,
    coalesce(sum((o.amount_units * 1000000000::numeric + o.amount_nanos) * r.rate)
      FILTER (WHERE o.order_time > sqlc.arg(year_start)::timestamptz), 0)::float8 AS amount,
    coalesce(sum((o.amount_units * 1000000000::numeric + o.amount_nanos) * r.rate)
      FILTER (WHERE o.order_time <= sqlc.arg(year_start)::timestamptz AND o.order_time > sqlc.arg(year_before)::timestamptz), 0)::float8 AS earlier,
    coalesce(sum(((o.amount_units - o.cost_units) * 1000000000::numeric + (o.amount_nanos - o.cost_nanos)) * r.rate)
      FILTER (WHERE o.order_time > sqlc.arg(year_start)::timestamptz), 0)::float8 AS profit,
    count(*) FILTER (WHERE o.order_time > sqlc.arg(year_start)::timestamptz) AS orders,
    bit_count(bit_or((1 << floor(extract(epoch FROM sqlc.arg(as_of)::timestamptz - o.order_time) / 7889238)::int)::bit(8))
      FILTER (WHERE sqlc.arg(as_of)::timestamptz - o.order_time < interval '63113904 seconds')) AS quarters
  FROM orders o LEFT JOIN rates r ON r.code = o.currency
  WHERE o.order_time <= sqlc.arg(as_of)::timestamptz
  GROUP BY o.customer_id
), pieces AS (
  SELECT o.customer_id, sum(l.quantity) AS pieces
  FROM orders o JOIN order_lines l ON l.order_id = o.id
  WHERE o.order_time > sqlc.arg(year_start)::timestamptz AND o.order_time <= sqlc.arg(as_of)::timestamptz
  GROUP BY o.customer_id
), referred AS (
  SELECT s.referrer_id, count(*) AS referrals FROM customer_standings s WHERE s.referrer_id IS NOT NULL GROUP BY s.referrer_id
), measured AS (
  SELECT c.id, c.tier AS from_tier, c.tier_end_time IS NOT NULL AS held, coalesce(s.strategic, false) AS strategic,
    coalesce((s.growth_rating - 1) * 25, 0)::float8 AS rated,
    coalesce(b.amount / 1000000000, 0) AS scale,
    coalesce(extract(epoch FROM sqlc.arg(as_of)::timestamptz - b.first_time) / 2629746, 0)::float8 AS length,
    coalesce(b.profit / 1000000000, 0) AS profit,
    CASE WHEN b.earlier > 0 THEN (b.amount - b.earlier) / b.earlier END AS growth,
    coalesce(b.orders, 0)::float8 AS frequency, coalesce(p.pieces, 0)::float8 AS volume,
    coalesce(b.quarters, 0)::float8 AS loyalty, coalesce(f.referrals, 0)::float8 AS referrals
  FROM customers c
  LEFT JOIN bought b ON b.customer_id = c.id
  LEFT JOIN pieces p ON p.customer_id = c.id
  LEFT JOIN referred f ON f.referrer_id = c.id
  LEFT JOIN customer_standings s ON s.customer_id = c.id
  WHERE c.status = 1 AND c.merged_into IS NULL
), ranked AS (
  SELECT m.*,
    100 * percent_rank() OVER (ORDER BY m.scale) AS r1,
    100 * percent_rank() OVER (ORDER BY m.length) AS r2,
    100 * percent_rank() OVER (ORDER BY m.profit) AS r3,
    CASE WHEN m.growth IS NULL THEN m.rated
      ELSE 100 * percent_rank() OVER (PARTITION BY m.growth IS NULL ORDER BY m.growth) END AS r4,
    100 * percent_rank() OVER (ORDER BY m.frequency) AS r5,
    100 * percent_rank() OVER (ORDER BY m.volume) AS r6,
    100 * percent_rank() OVER (ORDER BY m.loyalty) AS r7,
    100 * percent_rank() OVER (ORDER BY m.referrals) AS r8
  FROM measured m
), scored AS (
  SELECT k.*, sqlc.arg(w1)::float8 * k.r1 + sqlc.arg(w2)::float8 * k.r2 + sqlc.arg(w3)::float8 * k.r3 + sqlc.arg(w4)::float8 * k.r4
    + sqlc.arg(w5)::float8 * k.r5 + sqlc.arg(w6)::float8 * k.r6 + sqlc.arg(w7)::float8 * k.r7 + sqlc.arg(w8)::float8 * k.r8 AS score
  FROM ranked k
), sorted AS (
  SELECT v.*, (CASE WHEN v.score >= sqlc.arg(key_limit)::float8 THEN 4 WHEN v.score >= sqlc.arg(a_limit)::float8 THEN 3
    WHEN v.score >= sqlc.arg(b_limit)::float8 THEN 2 ELSE 1 END)::smallint AS tier
  FROM scored v
)
INSERT INTO tier_scores (run_id, customer_id, measures, ranks, score, tier, from_tier, to_tier, reason)
SELECT sqlc.arg(run_id)::uuid, t.id, ARRAY[t.scale, t.length, t.profit, coalesce(t.growth, 0), t.frequency, t.volume, t.loyalty, t.referrals],
  ARRAY[t.r1, t.r2, t.r3, t.r4, t.r5, t.r6, t.r7, t.r8], t.score, t.tier, t.from_tier,
  CASE WHEN t.held THEN t.from_tier WHEN t.strategic THEN 4 ELSE t.tier END,
  CASE WHEN t.held THEN 3 WHEN t.strategic THEN 2 ELSE 1 END
FROM sorted t;

-- name: CountTierRun :exec
UPDATE tier_runs SET state = 2, revision = revision + 1, scored = c.scored, moves = c.moves,
  before_counts = ARRAY[c.b1, c.b2, c.b3, c.b4], after_counts = ARRAY[c.a1, c.a2, c.a3, c.a4],
  orders_left_out = (SELECT count(*) FROM orders o WHERE o.order_time > sqlc.arg(year_before)::timestamptz
    AND o.order_time <= sqlc.arg(as_of)::timestamptz AND o.amount_units IS NOT NULL AND o.currency <> ALL(sqlc.arg(codes)::text[]))
FROM (
  SELECT count(*) AS scored, count(*) FILTER (WHERE t.from_tier <> t.to_tier) AS moves,
    count(*) FILTER (WHERE t.from_tier = 1) AS b1, count(*) FILTER (WHERE t.from_tier = 2) AS b2,
    count(*) FILTER (WHERE t.from_tier = 3) AS b3, count(*) FILTER (WHERE t.from_tier = 4) AS b4,
    count(*) FILTER (WHERE t.to_tier = 1) AS a1, count(*) FILTER (WHERE t.to_tier = 2) AS a2,
    count(*) FILTER (WHERE t.to_tier = 3) AS a3, count(*) FILTER (WHERE t.to_tier = 4) AS a4
  FROM tier_scores t WHERE t.run_id = sqlc.arg(id)
) c
WHERE tier_runs.id = sqlc.arg(id);

-- name: ListTierMoves :many
SELECT t.*, c.number FROM tier_scores t JOIN customers c ON c.id = t.customer_id
WHERE t.run_id = sqlc.arg(run_id) AND t.from_tier <> t.to_tier AND t.customer_id > sqlc.arg(after)
ORDER BY t.customer_id LIMIT sqlc.arg(count);

-- name: LockMovingCustomers :many
SELECT * FROM customers WHERE id = ANY(sqlc.arg(ids)::uuid[]) ORDER BY id FOR UPDATE;

-- name: GetTierScore :one
SELECT * FROM tier_scores WHERE run_id = sqlc.arg(run_id) AND customer_id = sqlc.arg(customer_id);

-- name: ListTierScores :many
SELECT * FROM tier_scores WHERE run_id = sqlc.arg(run_id) AND customer_id = ANY(sqlc.arg(customer_ids)::uuid[]);

-- name: GetMarks :one
SELECT * FROM customer_standings WHERE customer_id = sqlc.arg(customer_id);

-- name: ListStrategic :many
SELECT customer_id FROM customer_standings WHERE strategic AND customer_id = ANY(sqlc.arg(customer_ids)::uuid[]);

-- name: PutMarks :exec
INSERT INTO customer_standings (customer_id, strategic, strategic_reason, growth_rating, referrer_id, update_time, version)
VALUES (sqlc.arg(customer_id), sqlc.arg(strategic), sqlc.arg(strategic_reason), sqlc.arg(growth_rating), sqlc.arg(referrer_id), sqlc.arg(update_time), sqlc.arg(version))
ON CONFLICT (customer_id) DO UPDATE SET strategic = excluded.strategic, strategic_reason = excluded.strategic_reason,
  growth_rating = excluded.growth_rating, referrer_id = excluded.referrer_id, update_time = excluded.update_time,
  version = excluded.version;
