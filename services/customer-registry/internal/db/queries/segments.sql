-- name: InsertSegment :exec
INSERT INTO segments (id, name, purpose, condition, creator, create_time, update_time, version)
VALUES (@id, @name, @purpose, @condition, @creator, @create_time, @update_time, 1);

-- name: GetSegment :one
SELECT * FROM segments WHERE id = @id;

-- name: LockSegment :one
SELECT * FROM segments WHERE id = @id FOR UPDATE;

-- name: ListSegments :many
SELECT * FROM segments WHERE id < @before ORDER BY id DESC LIMIT @count;

-- name: UpdateSegment :exec
UPDATE segments SET name = @name, purpose = @purpose, condition = @condition, update_time = @update_time,
  version = version + 1
WHERE id = @id;

-- name: DeleteSegment :exec
DELETE FROM segments WHERE id = @id;
