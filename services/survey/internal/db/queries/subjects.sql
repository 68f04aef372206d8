-- name: ListSubjectAnswers :many
SELECT id FROM answers WHERE customer_id = ANY(@customer_ids::uuid[]) AND id > @after ORDER BY id LIMIT @count;
