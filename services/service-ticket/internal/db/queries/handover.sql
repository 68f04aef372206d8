-- name: ListTicketsInHands :many
-- Open tickets of somebody, the most urgent first, but for some that were passed over.
SELECT * FROM tickets WHERE assignee_staff_id = @staff_id AND state IN (3, 4, 5) AND id <> ALL(@passed::uuid[])
ORDER BY queue_rank, due_time, id LIMIT @size;

-- name: ListTasksInHands :many
SELECT * FROM tasks WHERE owner_staff_id = @staff_id AND state = 1 AND id <> ALL(@passed::uuid[])
ORDER BY due_time, id LIMIT @size;

-- name: CountInHands :one
SELECT ((SELECT count(*) FROM tickets t WHERE t.assignee_staff_id = @staff_id::uuid AND t.state IN (3, 4, 5))
  + (SELECT count(*) FROM tasks k WHERE k.owner_staff_id = @staff_id::uuid AND k.state = 1))::integer;

-- name: ReassignTask :exec
UPDATE tasks SET owner_staff_id = @owner_staff_id, update_time = @update_time, version = @version WHERE id = @id;

-- name: ListTakeOversDue :many
-- Substitutions that run by now, whose begin is to hand over what is in hand and has not.
SELECT * FROM substitutions WHERE take_over AND take_over_time IS NULL AND start_time <= @now::timestamptz AND end_time > @now::timestamptz
ORDER BY start_time, id;

-- name: MarkTakenOver :execrows
UPDATE substitutions SET take_over_time = @take_over_time::timestamptz WHERE id = @id AND take_over_time IS NULL;
