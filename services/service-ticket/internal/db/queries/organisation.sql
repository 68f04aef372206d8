-- name: SetRoute :one
INSERT INTO routes (id, type, product_model, department_id, update_time)
VALUES (@id, @type, @product_model, @department_id, @update_time)
ON CONFLICT (type, product_model) DO UPDATE SET department_id = excluded.department_id, update_time = excluded.update_time
RETURNING *;

-- name: DeleteRoute :execrows
DELETE FROM routes WHERE id = @id;

-- name: ListRoutes :many
SELECT * FROM routes WHERE id > @after ORDER BY id LIMIT @size;

-- name: ListMatchingRoutes :many
SELECT * FROM routes WHERE type IN (0, @type::smallint) AND product_model IN ('', @product_model::text);

-- name: GetDepartmentByFunction :one
-- The one added first when there are several.
SELECT * FROM departments WHERE function = @function AND close_time IS NULL ORDER BY id LIMIT 1;

-- name: LockSubstitutions :exec
-- Changes of substitutions follow each other, so that two cannot close a circle between
-- them. Released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('substitutions', 0));

-- name: InsertSubstitution :exec
INSERT INTO substitutions (id, staff_id, substitute_staff_id, start_time, end_time, reason, create_time, take_over, take_over_time)
VALUES (@id, @staff_id, @substitute_staff_id, @start_time, @end_time, @reason, @create_time, @take_over, @take_over_time);

-- name: DeleteSubstitution :execrows
DELETE FROM substitutions WHERE id = @id;

-- name: ListSubstitutions :many
SELECT * FROM substitutions WHERE id > @after ORDER BY id LIMIT @size;

-- name: ListSubstitutionsOf :many
SELECT * FROM substitutions WHERE staff_id = @staff_id AND id > @after ORDER BY id LIMIT @size;

-- name: ListSubstitutionsDuring :many
SELECT * FROM substitutions WHERE end_time > @from_time AND start_time < @to_time ORDER BY start_time, id;

-- name: ListStaffLoads :many
-- Open tickets in the hands of each; who has none has no line.
SELECT assignee_staff_id::uuid AS staff_id, count(*)::integer AS open_tickets FROM tickets
WHERE assignee_staff_id = ANY(@ids::uuid[]) AND state IN (3, 4, 5) GROUP BY assignee_staff_id;

-- name: InsertStation :exec
INSERT INTO stations (id, code, name_zh, name_en, department_id, latitude, longitude, closed, create_time, update_time, version)
VALUES (@id, @code, @name_zh, @name_en, @department_id, @latitude, @longitude, @closed, @create_time, @create_time, 1);

-- name: GetStation :one
SELECT * FROM stations WHERE id = @id;

-- name: LockStation :one
SELECT * FROM stations WHERE id = @id FOR NO KEY UPDATE;

-- name: UpdateStation :exec
UPDATE stations SET code = @code, name_zh = @name_zh, name_en = @name_en, department_id = @department_id,
  latitude = @latitude, longitude = @longitude, closed = @closed, update_time = @update_time, version = @version
WHERE id = @id;

-- name: ListStations :many
SELECT * FROM stations WHERE id > @after ORDER BY id LIMIT @size;

-- name: ListOpenStations :many
-- A company has few stations: all are measured.
SELECT * FROM stations WHERE NOT closed ORDER BY id;
