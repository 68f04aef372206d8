-- name: InsertSeverityPolicy :one
INSERT INTO severity_policies (id, effective_time, injury, legal, press, key_customer, amount_units, amount_nanos,
  repeat_days, same_customer, same_product, same_cause, note, create_time)
VALUES (@id, @effective_time, @injury, @legal, @press, @key_customer, @amount_units, @amount_nanos,
  @repeat_days, @same_customer, @same_product, @same_cause, @note, @create_time)
RETURNING *;

-- name: GetSeverityPolicy :one
SELECT * FROM severity_policies WHERE version = $1;

-- name: SeverityPolicyAt :one
-- The one in effect at an instant.
SELECT * FROM severity_policies WHERE effective_time <= @at ORDER BY effective_time DESC, version DESC LIMIT 1;

-- name: ListSeverityPolicies :many
SELECT * FROM severity_policies WHERE version < @before ORDER BY version DESC LIMIT @size;

-- name: SeverityPolicyOf :one
-- The one a complaint was registered under.
SELECT p.* FROM complaint_severities s JOIN severity_policies p ON p.version = s.policy_version WHERE s.complaint_id = $1;

-- name: SetSeverity :exec
INSERT INTO complaint_severities (complaint_id, policy_version, clauses, texts_en, texts_zh)
VALUES (@complaint_id, @policy_version, @clauses, @texts_en, @texts_zh)
ON CONFLICT ON CONSTRAINT complaint_severities_pkey DO UPDATE
SET clauses = excluded.clauses, texts_en = excluded.texts_en, texts_zh = excluded.texts_zh;

-- name: SelectSeverities :many
SELECT * FROM complaint_severities WHERE complaint_id = ANY (@complaint_ids::uuid[]);

-- name: SelectRepeats :many
-- The newest of the same customer's complaints and of those about the same product within a
-- span of time: at most a hundred of each are read, however many there are.
(SELECT 1::smallint AS basis, c.id FROM complaints c
 WHERE c.customer_id = @customer_id AND c.create_time >= @since AND c.create_time <= @until AND (c.create_time, c.id) < (@until, @id::uuid)
 ORDER BY c.create_time DESC LIMIT 100)
UNION ALL
(SELECT 2::smallint, c.id FROM complaints c
 WHERE c.product_model = @product_model AND c.product_model <> '' AND c.create_time >= @since AND c.create_time <= @until AND (c.create_time, c.id) < (@until, @id::uuid)
 ORDER BY c.create_time DESC LIMIT 100);

-- name: LinkRepeats :exec
INSERT INTO complaint_repeats (complaint_id, basis, earlier_id)
SELECT @complaint_id, unnest(@bases::smallint[]), unnest(@earlier_ids::uuid[])
ON CONFLICT ON CONSTRAINT complaint_repeats_pkey DO NOTHING;

-- name: CountRepeats :many
SELECT basis, count(*)::int AS found FROM complaint_repeats WHERE complaint_id = $1 GROUP BY basis;

-- name: ListRepeats :many
-- Those a complaint repeats, and those it is repeated by.
SELECT c.id, c.number, c.create_time, c.accused_staff_id, array_agg(DISTINCT r.basis)::smallint[] AS bases,
  ((c.create_time, c.id) > (x.create_time, x.id))::boolean AS later,
  (@everything::boolean OR EXISTS (SELECT FROM complaint_readers k WHERE k.complaint_id = c.id AND k.reader = ANY (@readers::text[])))::boolean AS open
FROM (
  (SELECT earlier_id AS id, basis FROM complaint_repeats a WHERE a.complaint_id = @complaint_id ORDER BY earlier_id DESC LIMIT 300)
  UNION ALL
  (SELECT b.complaint_id, basis FROM complaint_repeats b WHERE b.earlier_id = @complaint_id ORDER BY b.complaint_id DESC LIMIT 300)
) r JOIN complaints c ON c.id = r.id JOIN complaints x ON x.id = @complaint_id
GROUP BY c.id, x.id ORDER BY c.create_time DESC, c.id DESC LIMIT 300;
