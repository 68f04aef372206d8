-- name: LockStaffByIdentity :one
SELECT * FROM staff WHERE issuer = @issuer AND subject = @subject FOR NO KEY UPDATE;

-- name: ListStaffOnDuty :many
-- Those of some whose shift in a duty roster it is.
SELECT DISTINCT d.staff_id FROM duty_shifts d JOIN duty_rosters r ON r.id = d.roster_id AND NOT r.closed
WHERE d.staff_id = ANY(@ids::uuid[]) AND d.start_time <= @at::timestamptz AND d.start_time > @earliest::timestamptz
  AND d.end_time > @at::timestamptz;

-- name: SetTicketNeeds :exec
UPDATE tickets SET needs = @needs, update_time = @update_time, version = @version WHERE id = @id;
