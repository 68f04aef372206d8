-- name: InsertCustomerChanges :exec
INSERT INTO customer_changes (id, customer_id, contact_id, version, field, change_time, actor, source, before, after)
SELECT v.id, v.customer_id, nullif(v.contact_id, '00000000-0000-0000-0000-000000000000'::uuid), v.version, v.field,
  @change_time::timestamptz, @actor::text, @source::smallint, v.before, v.after
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@customer_ids::uuid[]) AS customer_id, unnest(@contact_ids::uuid[]) AS contact_id,
  unnest(@versions::bigint[]) AS version, unnest(@fields::text[]) AS field, unnest(@befores::bytea[]) AS before,
  unnest(@afters::bytea[]) AS after) v;

-- name: ListCustomerChanges :many
SELECT * FROM customer_changes
WHERE customer_id = @customer_id AND id < @before
  AND (@field::text = '' OR field = @field::text OR starts_with(field, @field::text || '.'))
ORDER BY id DESC LIMIT @count;

-- name: ListOverdueFiles :many
SELECT id, number, name, owner_staff_id, responsible_staff_id, update_interval_days, review_due_time FROM customers
WHERE status = 1 AND review_due_time <= @now AND (review_due_time, id) > (@after_time::timestamptz, @after_id::uuid)
  AND (sqlc.narg('responsible_staff_id')::uuid IS NULL OR responsible_staff_id = sqlc.narg('responsible_staff_id')::uuid)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY review_due_time, id LIMIT @count;

-- name: InsertAttributeDefinition :exec
INSERT INTO attribute_definitions (id, key, definition, create_time, update_time, version)
VALUES (@id, @key, @definition, @create_time, @update_time, 1);

-- name: GetAttributeDefinition :one
SELECT * FROM attribute_definitions WHERE id = @id;

-- name: LockAttributeDefinition :one
SELECT * FROM attribute_definitions WHERE id = @id FOR UPDATE;

-- name: LockAttributeDefinitions :exec
SELECT pg_advisory_xact_lock(hashtextextended('attribute-definitions', 0));

-- name: ListAttributeDefinitions :many
SELECT * FROM attribute_definitions WHERE key > @after ORDER BY key LIMIT @count;

-- name: UpdateAttributeDefinition :exec
UPDATE attribute_definitions SET definition = @definition, update_time = @update_time, version = version + 1 WHERE id = @id;

-- name: ListMaintenancePlans :many
SELECT * FROM maintenance_plans WHERE lifecycle > @after ORDER BY lifecycle LIMIT @count;

-- name: LockMaintenancePlan :one
SELECT * FROM maintenance_plans WHERE lifecycle = @lifecycle FOR UPDATE;

-- name: UpdateMaintenancePlan :exec
UPDATE maintenance_plans SET actions = @actions, contact_interval_days = @contact_interval_days,
  update_time = @update_time, version = version + 1
WHERE lifecycle = @lifecycle;
