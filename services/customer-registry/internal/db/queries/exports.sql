-- name: ListFilesToExport :many
SELECT * FROM customers
WHERE id < sqlc.arg(before) AND merged_into IS NULL
  AND (sqlc.narg('tier')::smallint IS NULL OR tier = sqlc.narg('tier')::smallint)
  AND (sqlc.narg('status')::smallint IS NULL OR status = sqlc.narg('status')::smallint)
  AND (sqlc.narg('region')::text IS NULL OR region = sqlc.narg('region')::text)
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid)
ORDER BY id DESC LIMIT sqlc.arg(count);

-- name: InsertFileReads :exec
INSERT INTO file_reads (id, read_time, reader, customer_id, basis)
SELECT unnest(sqlc.arg(ids)::uuid[]), sqlc.arg(read_time), sqlc.arg(reader), unnest(sqlc.arg(customer_ids)::uuid[]),
  unnest(sqlc.arg(bases)::smallint[]);
