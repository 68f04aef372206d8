-- name: SetSecret :exec
INSERT INTO complaint_secrets (complaint_id, hash) VALUES (@complaint_id, @hash)
ON CONFLICT ON CONSTRAINT complaint_secrets_pkey DO UPDATE SET hash = excluded.hash;

-- name: GetStatus :one
SELECT c.number, c.state, c.round, c.create_time, c.outcome, r.tell_time, k.due_time AS promised_time
FROM complaint_secrets s JOIN complaints c ON c.id = s.complaint_id
JOIN complaint_rounds r ON r.complaint_id = c.id AND r.number = c.round
LEFT JOIN LATERAL (
  SELECT p.due_time FROM clocks p WHERE p.subject_id = c.id AND p.kind = 'promise' ORDER BY p.id DESC LIMIT 1
) k ON true
WHERE s.hash = $1;

-- name: GetPromise :one
SELECT due_time FROM clocks WHERE subject_id = $1 AND kind = 'promise' ORDER BY id DESC LIMIT 1;

-- name: GetReceivers :one
SELECT * FROM complaint_receivers;

-- name: LockReceivers :one
SELECT * FROM complaint_receivers FOR UPDATE;

-- name: UpdateReceivers :exec
UPDATE complaint_receivers SET receiver_staff_id = @receiver_staff_id, deputy_staff_id = @deputy_staff_id,
  version = @version, update_time = @update_time;
