-- name: GetProgress :one
SELECT * FROM answer_progress WHERE invitation_id = $1;

-- name: UpsertProgress :exec
INSERT INTO answer_progress (invitation_id, customer_id, responses, save_time)
VALUES (@invitation_id, @customer_id, @responses, @save_time)
ON CONFLICT (invitation_id) DO UPDATE SET responses = excluded.responses, save_time = excluded.save_time;

-- name: DeleteProgress :exec
DELETE FROM answer_progress WHERE invitation_id = $1;
