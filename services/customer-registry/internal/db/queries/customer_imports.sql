-- name: InsertCustomerImport :exec
INSERT INTO customer_imports (id, source, definition, on_existing, dry_run, state, author, create_time, keep_until, revision)
VALUES (sqlc.arg(id), sqlc.arg(source), sqlc.arg(definition), sqlc.arg(on_existing), sqlc.arg(dry_run), 1, sqlc.arg(author),
  sqlc.arg(create_time), sqlc.arg(keep_until), 1);

-- name: GetCustomerImport :one
SELECT * FROM customer_imports WHERE id = sqlc.arg(id);

-- name: LockCustomerImport :one
SELECT * FROM customer_imports WHERE id = sqlc.arg(id) FOR UPDATE;

-- name: ListCustomerImports :many
SELECT * FROM customer_imports WHERE id < sqlc.arg(before) ORDER BY id DESC LIMIT sqlc.arg(count);

-- name: ListRunningImports :many
SELECT id FROM customer_imports WHERE state = 2 ORDER BY id LIMIT 100;

-- name: InsertImportPart :exec
INSERT INTO customer_import_parts (import_id, at, sealed) VALUES (sqlc.arg(import_id), sqlc.arg(at), sqlc.arg(sealed));

-- name: NextImportPart :one
SELECT at, sealed FROM customer_import_parts WHERE import_id = sqlc.arg(import_id) AND at >= sqlc.arg(at) ORDER BY at LIMIT 1;

-- name: ReceiveImportPart :exec
UPDATE customer_imports SET received = received + sqlc.arg(size)::bigint, state = sqlc.arg(state)::smallint, revision = revision + 1
WHERE id = sqlc.arg(id);

-- name: AdvanceCustomerImport :exec
UPDATE customer_imports SET rows = sqlc.arg(rows), done_bytes = sqlc.arg(done_bytes), created = sqlc.arg(created),
  updated = sqlc.arg(updated), existing = sqlc.arg(existing), reviews = sqlc.arg(reviews), refused = sqlc.arg(refused),
  faults = sqlc.arg(faults), revision = revision + 1
WHERE id = sqlc.arg(id);

-- name: SetCustomerImportState :exec
UPDATE customer_imports SET state = sqlc.arg(state), end_time = sqlc.arg(end_time), keep_until = sqlc.arg(keep_until),
  failure_zh = sqlc.arg(failure_zh), failure_en = sqlc.arg(failure_en), revision = revision + 1
WHERE id = sqlc.arg(id);

-- name: RestartCustomerImport :exec
UPDATE customer_imports SET state = 2, dry_run = false, rows = 0, done_bytes = 0, created = 0, updated = 0, existing = 0,
  reviews = 0, refused = 0, faults = 0, revision = revision + 1
WHERE id = sqlc.arg(id);

-- name: DeleteImportParts :exec
DELETE FROM customer_import_parts WHERE import_id = sqlc.arg(import_id);

-- name: DeleteImportErrors :exec
DELETE FROM customer_import_errors WHERE import_id = sqlc.arg(import_id);

-- name: DeleteImportReviews :exec
DELETE FROM customer_import_reviews WHERE import_id = sqlc.arg(import_id);

-- name: LockForgottenImports :many
SELECT id, state FROM customer_imports WHERE keep_until <= sqlc.arg(now)::timestamptz ORDER BY keep_until LIMIT 10 FOR UPDATE SKIP LOCKED;

-- name: ForgetCustomerImport :exec
UPDATE customer_imports SET keep_until = NULL, revision = revision + 1 WHERE id = sqlc.arg(id);

-- name: InsertImportErrors :exec
INSERT INTO customer_import_errors (import_id, line, position, sealed)
SELECT sqlc.arg(import_id), unnest(sqlc.arg(lines)::bigint[]), unnest(sqlc.arg(positions)::int[]), unnest(sqlc.arg(sealed)::bytea[]);

-- name: ListImportErrors :many
SELECT * FROM customer_import_errors
WHERE import_id = sqlc.arg(import_id) AND (line > sqlc.arg(after_line)::bigint
  OR line = sqlc.arg(after_line)::bigint AND position > sqlc.arg(after_position)::int)
ORDER BY line, position LIMIT sqlc.arg(count);

-- name: InsertImportReview :exec
INSERT INTO customer_import_reviews (import_id, line, customer_id, external_id, fields, sealed, state)
VALUES (sqlc.arg(import_id), sqlc.arg(line), sqlc.arg(customer_id), sqlc.arg(external_id), sqlc.arg(fields), sqlc.arg(sealed), sqlc.arg(state));

-- name: ListImportReviews :many
SELECT * FROM customer_import_reviews WHERE import_id = sqlc.arg(import_id) AND line > sqlc.arg(after_line)
ORDER BY line LIMIT sqlc.arg(count);

-- name: LockImportReview :one
SELECT * FROM customer_import_reviews WHERE import_id = sqlc.arg(import_id) AND line = sqlc.arg(line) FOR UPDATE;

-- name: DecideImportReview :exec
UPDATE customer_import_reviews SET state = sqlc.arg(state), decider = sqlc.arg(decider)::text
WHERE import_id = sqlc.arg(import_id) AND line = sqlc.arg(line);

-- name: TryImportLock :one
SELECT pg_try_advisory_lock(hashtextextended('work-customer-import ' || sqlc.arg(id)::text, 0));

-- name: ImportUnlock :exec
SELECT pg_advisory_unlock(hashtextextended('work-customer-import ' || sqlc.arg(id)::text, 0));
