-- name: InsertCalendar :exec
INSERT INTO calendars (id, subject_id, is_default, definition, create_time, update_time, version)
VALUES (@id, @subject_id, @is_default, @definition, @create_time, @create_time, 1);

-- name: GetCalendar :one
SELECT * FROM calendars WHERE id = @id;

-- name: GetDefaultCalendar :one
SELECT * FROM calendars WHERE is_default;

-- name: ListCalendars :many
SELECT * FROM calendars WHERE id > @after ORDER BY id LIMIT @size;

-- name: UpdateCalendar :exec
UPDATE calendars SET is_default = @is_default, definition = @definition, update_time = @update_time, version = @version
WHERE id = @id;
