-- name: ListSubjectComplaints :many
SELECT id FROM complaints WHERE customer_id = ANY(@customer_ids::uuid[]) AND id > @after ORDER BY id LIMIT @count;
