-- name: LockUnscored :many
SELECT customer_id FROM customer_quality WHERE rescore_time <= @now ORDER BY rescore_time LIMIT @count FOR UPDATE SKIP LOCKED;

-- name: ListQualityFacts :many
-- What files are scored by.
SELECT c.id, c.number, c.party, (c.status = 1 AND c.merged_into IS NULL)::boolean AS active, c.owner_staff_id, c.responsible_staff_id, c.region, c.industry,
  (c.phone IS NOT NULL)::boolean AS has_phone, (c.email IS NOT NULL)::boolean AS has_email, (c.address IS NOT NULL)::boolean AS has_address,
  (c.needs IS NOT NULL)::boolean AS has_needs, c.phone_quality, c.email_quality, c.field_states, c.review_due_time, c.update_interval_days,
  people.contacts, people.invalid_contacts, people.decision_makers, people.points, people.verified_points
FROM customers c, LATERAL (
  SELECT count(*) AS contacts, count(*) FILTER (WHERE p.phone_quality <> 0 OR p.email_quality <> 0) AS invalid_contacts,
    count(*) FILTER (WHERE p.decision_role = 3) AS decision_makers,
    count(p.phone) + count(p.email) AS points, coalesce(sum(p.verified_points), 0)::bigint AS verified_points
  FROM contacts p WHERE p.customer_id = c.id AND p.delete_time IS NULL) people
WHERE c.id = ANY(@ids::uuid[]);

-- name: StoreQualities :exec
UPDATE customer_quality q SET active = v.active, responsible_staff_id = nullif(v.responsible, '00000000-0000-0000-0000-000000000000'::uuid),
  completeness = v.completeness, accuracy = v.accuracy, timeliness = v.timeliness, overall = v.overall, reasons = v.reasons,
  definition = @definition::smallint, score_time = @now::timestamptz, rescore_time = nullif(v.rescore_time, 'epoch'::timestamptz)
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@actives::boolean[]) AS active, unnest(@responsibles::uuid[]) AS responsible,
  unnest(@completenesses::smallint[]) AS completeness, unnest(@accuracies::smallint[]) AS accuracy,
  unnest(@timelinesses::smallint[]) AS timeliness, unnest(@overalls::smallint[]) AS overall,
  unnest(@reasonses::bytea[]) AS reasons, unnest(@rescore_times::timestamptz[]) AS rescore_time) v
WHERE q.customer_id = v.id;

-- name: ListQualities :many
SELECT sqlc.embed(customer_quality), customers.number FROM customer_quality JOIN customers ON customers.id = customer_quality.customer_id
WHERE active AND definition > 0 AND (overall, customer_quality.customer_id) > (@overall::smallint, @after::uuid)
  AND (sqlc.narg('responsible_staff_id')::uuid IS NULL OR customer_quality.responsible_staff_id = sqlc.narg('responsible_staff_id')::uuid)
ORDER BY overall, customer_quality.customer_id LIMIT @count;

-- name: TakeSnapshot :exec
INSERT INTO quality_snapshots (month, files, completeness, accuracy, timeliness, overall, definition, create_time)
SELECT @month::text, count(*), coalesce(avg(completeness), 0), coalesce(avg(accuracy), 0), coalesce(avg(timeliness), 0),
  coalesce(avg(overall), 0), @definition::smallint, @now::timestamptz
FROM customer_quality WHERE active AND definition = @definition::smallint
ON CONFLICT (month) DO UPDATE SET files = excluded.files, completeness = excluded.completeness, accuracy = excluded.accuracy,
  timeliness = excluded.timeliness, overall = excluded.overall, definition = excluded.definition, create_time = excluded.create_time;

-- name: ListSnapshots :many
SELECT * FROM quality_snapshots WHERE month < @before ORDER BY month DESC LIMIT @count;
