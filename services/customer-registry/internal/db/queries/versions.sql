-- name: InsertRuleVersion :one
INSERT INTO rule_versions (id, kind, version, state, definition, author, create_time, revision)
VALUES (@id, @kind,
  CASE @kind::smallint WHEN 1 THEN nextval('warranty_policy_versions') ELSE nextval('tier_model_versions') END,
  1, @definition, @author, @create_time, 1)
RETURNING version;

-- name: GetRuleVersion :one
SELECT * FROM rule_versions WHERE id = @id AND kind = @kind;

-- name: LockRuleVersion :one
SELECT * FROM rule_versions WHERE id = @id AND kind = @kind FOR UPDATE;

-- name: PublishRuleVersion :exec
UPDATE rule_versions SET state = 2, effective_time = @effective_time::timestamptz, publisher = @publisher::text, revision = revision + 1
WHERE id = @id;

-- name: ListRuleVersions :many
SELECT * FROM rule_versions WHERE kind = @kind AND id < @before ORDER BY id DESC LIMIT @count;

-- name: RuleInEffect :one
SELECT * FROM rule_versions WHERE kind = @kind AND state = 2 AND effective_time <= @at
ORDER BY effective_time DESC, version DESC LIMIT 1;

-- name: FindInstalledProduct :one
SELECT * FROM installed_products
WHERE (sqlc.narg('id')::uuid IS NULL OR id = sqlc.narg('id')::uuid)
  AND (sqlc.narg('serial_number')::text IS NULL OR serial_number = sqlc.narg('serial_number')::text);

-- name: FindCustomersByExternalID :many
SELECT id, external_id FROM customers
WHERE source = @source::text AND external_id = ANY(@external_ids::text[]);
