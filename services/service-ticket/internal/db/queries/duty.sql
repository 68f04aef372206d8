-- name: InsertDutyRoster :exec
INSERT INTO duty_rosters (id, code, name_zh, name_en, department_id, calendar_id, closed, create_time, update_time, version)
VALUES (@id, @code, @name_zh, @name_en, @department_id, @calendar_id, @closed, @create_time, @create_time, 1);

-- name: GetDutyRoster :one
SELECT * FROM duty_rosters WHERE id = @id;

-- name: LockDutyRoster :one
SELECT * FROM duty_rosters WHERE id = @id FOR NO KEY UPDATE;

-- name: UpdateDutyRoster :exec
UPDATE duty_rosters SET code = @code, name_zh = @name_zh, name_en = @name_en, department_id = @department_id,
  calendar_id = @calendar_id, closed = @closed, update_time = @update_time, version = @version
WHERE id = @id;

-- name: ListDutyRosters :many
SELECT * FROM duty_rosters WHERE id > @after ORDER BY id LIMIT @size;

-- name: InsertDutyShift :exec
INSERT INTO duty_shifts (id, roster_id, staff_id, start_time, end_time, create_time)
VALUES (@id, @roster_id, @staff_id, @start_time, @end_time, @create_time);

-- name: DeleteDutyShift :execrows
DELETE FROM duty_shifts WHERE id = @id AND roster_id = @roster_id;

-- name: ListDutyShifts :many
-- Shifts that end after a moment, from a place in their order on.
SELECT * FROM duty_shifts WHERE roster_id = @roster_id AND end_time > @from_time::timestamptz
  AND start_time > @earliest::timestamptz AND (start_time, id) > (@after_time::timestamptz, @after::uuid)
ORDER BY start_time, id LIMIT @size;

-- name: ListShiftsDuring :many
-- Shifts of a time, but for those of staff who left.
SELECT d.* FROM duty_shifts d JOIN staff s ON s.id = d.staff_id AND s.status <> 5
WHERE d.roster_id = @roster_id AND d.end_time > @from_time::timestamptz AND d.start_time < @to_time::timestamptz
  AND d.start_time > @earliest::timestamptz
ORDER BY d.start_time, d.id;

-- name: ListShiftsOfStaffDuring :many
SELECT * FROM duty_shifts
WHERE roster_id = @roster_id AND staff_id = @staff_id AND end_time > @from_time::timestamptz
  AND start_time < @to_time::timestamptz AND start_time > @earliest::timestamptz
ORDER BY start_time, id LIMIT 1;

-- name: ListToldGaps :many
SELECT * FROM duty_gaps WHERE roster_id = @roster_id AND end_time > @from_time ORDER BY start_time;

-- name: DeleteToldGaps :exec
DELETE FROM duty_gaps WHERE roster_id = @roster_id AND end_time > @from_time;

-- name: InsertDutyGap :exec
-- The time is that of the look that found it last.
INSERT INTO duty_gaps (roster_id, start_time, end_time, find_time) VALUES (@roster_id, @start_time, @end_time, @find_time);
