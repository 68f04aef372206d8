-- name: ListFilesToExport :many
SELECT * FROM customers
WHERE id < sqlc.arg(before) AND merged_into IS NULL AND erase_time IS NULL
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY id DESC LIMIT sqlc.arg(count);

-- name: CountFilesToExport :one
SELECT count(*) FROM customers
WHERE merged_into IS NULL AND erase_time IS NULL
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid);
