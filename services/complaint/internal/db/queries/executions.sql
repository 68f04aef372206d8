-- name: InsertExecution :exec
INSERT INTO complaint_executions (complaint_id, round, reference, currency, amount_units, amount_nanos, executor_staff_id, execute_time)
VALUES (@complaint_id, @round, @reference, @currency, @amount_units, @amount_nanos, @executor_staff_id, @execute_time);

-- name: IsExecuted :one
SELECT EXISTS (SELECT FROM complaint_executions WHERE complaint_id = $1 AND round = $2);

-- name: SelectExecutions :many
SELECT * FROM complaint_executions WHERE complaint_id = ANY (@complaint_ids::uuid[]);
