-- name: InsertCaseHandler :exec
INSERT INTO case_handlers (case_id, staff_id) VALUES (@case_id, @staff_id) ON CONFLICT DO NOTHING;

-- name: HandledCase :one
SELECT EXISTS (SELECT FROM case_handlers WHERE case_id = ANY(@case_ids::uuid[]) AND staff_id = @staff_id);

-- name: LockAnswer :one
-- Whoever refers to the answer is not held up.
SELECT * FROM answers WHERE id = $1 FOR NO KEY UPDATE;

-- name: UpdateAnswerWithdrawn :exec
UPDATE answers SET withdraw_time = @withdraw_time::timestamptz, score = 0, low = false WHERE id = @id;

-- name: DeleteResponses :exec
DELETE FROM answer_responses WHERE answer_id = $1;

-- name: DeleteTopics :exec
DELETE FROM text_topics WHERE answer_id = $1;

-- name: DeleteScores :exec
DELETE FROM answer_scores WHERE answer_id = $1;

-- name: DeleteUncounted :execrows
DELETE FROM uncounted WHERE id = $1;
