-- name: InsertChangeReport :exec
INSERT INTO change_reports (id, customer_id, contact_id, proposal, source, state, actor, create_time, version)
VALUES (@id, @customer_id, @contact_id, @proposal, @source, 1, @actor, @create_time, 1);

-- name: GetChangeReport :one
SELECT sqlc.embed(change_reports), clocks.due_time FROM change_reports
LEFT JOIN clocks ON clocks.subject_id = change_reports.id
WHERE change_reports.id = @id;

-- name: LockChangeReport :one
SELECT * FROM change_reports WHERE id = @id FOR UPDATE;

-- name: ListChangeReports :many
SELECT sqlc.embed(change_reports), clocks.due_time FROM change_reports
LEFT JOIN clocks ON clocks.subject_id = change_reports.id
WHERE change_reports.id > @after
  AND (sqlc.narg('state')::smallint IS NULL OR change_reports.state = sqlc.narg('state')::smallint)
  AND (sqlc.narg('actor')::text IS NULL OR change_reports.actor = sqlc.narg('actor')::text)
  AND (sqlc.narg('customer_id')::uuid IS NULL OR change_reports.customer_id = sqlc.narg('customer_id')::uuid)
ORDER BY change_reports.id LIMIT @count;

-- name: ListOverdueReports :many
SELECT sqlc.embed(change_reports), clocks.due_time FROM change_reports
JOIN clocks ON clocks.subject_id = change_reports.id
WHERE change_reports.id > @after AND change_reports.state = 1 AND clocks.due_time < @now::timestamptz
  AND (sqlc.narg('actor')::text IS NULL OR change_reports.actor = sqlc.narg('actor')::text)
  AND (sqlc.narg('customer_id')::uuid IS NULL OR change_reports.customer_id = sqlc.narg('customer_id')::uuid)
ORDER BY change_reports.id LIMIT @count;

-- name: DecideChangeReport :exec
UPDATE change_reports SET state = @state, decider = @decider, decide_time = @decide_time, refuse_reason = @refuse_reason,
  version = version + 1
WHERE id = @id;
