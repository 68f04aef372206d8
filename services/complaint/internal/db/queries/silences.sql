-- name: SetSilence :exec
INSERT INTO complaint_silences (complaint_id, tell_time, step, due_time) VALUES (@complaint_id, @tell_time, @step, @due_time)
ON CONFLICT ON CONSTRAINT complaint_silences_pkey DO UPDATE
SET tell_time = excluded.tell_time, step = excluded.step, due_time = excluded.due_time;

-- name: DeleteSilence :exec
DELETE FROM complaint_silences WHERE complaint_id = $1;

-- name: ListDueSilences :many
SELECT complaint_id, due_time FROM complaint_silences WHERE due_time <= @now AND (due_time, complaint_id) > (@after_time, @after::uuid)
ORDER BY due_time, complaint_id LIMIT @size;

-- name: TryLockComplaint :one
-- Answers no row for one that another transaction holds.
SELECT * FROM complaints WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: GetSilence :one
SELECT * FROM complaint_silences WHERE complaint_id = $1;

-- name: InsertNotice :exec
INSERT INTO complaint_notices (id, complaint_id, round, number, create_time) VALUES (@id, @complaint_id, @round, @number, @create_time);

-- name: HoldNotice :one
SELECT n.id, n.complaint_id, n.round, n.number, n.create_time, c.number AS reference, c.customer_id
FROM complaint_notices n JOIN complaints c ON c.id = n.complaint_id
WHERE n.send_time IS NULL AND n.id > @after ORDER BY n.id LIMIT 1 FOR UPDATE OF n SKIP LOCKED;

-- name: SentNotice :exec
UPDATE complaint_notices SET send_time = @send_time WHERE id = @id;
