-- name: HoldCustomer :one
-- Holds a customer against those who read the tier of a ticket of theirs.
SELECT id FROM customer_refs WHERE id = @id FOR NO KEY UPDATE;

-- name: InsertStandardException :one
INSERT INTO standard_exceptions (id, customer_id, version, tier, start_time, end_time, reason, create_time)
VALUES (@id, @customer_id, (SELECT COALESCE(max(e.version), 0) + 1 FROM standard_exceptions e WHERE e.customer_id = @customer_id),
  @tier, @start_time, @end_time, @reason, @create_time)
RETURNING *;

-- name: ListExceptionsOf :many
-- Those of a customer that have not ended, newest first. A customer has few.
SELECT * FROM standard_exceptions WHERE customer_id = @customer_id ORDER BY version DESC LIMIT 500;

-- name: ListStandardExceptions :many
SELECT * FROM standard_exceptions WHERE id < @before ORDER BY id DESC LIMIT @size;

-- name: ListStandardExceptionsOf :many
SELECT * FROM standard_exceptions WHERE customer_id = @customer_id AND id < @before ORDER BY id DESC LIMIT @size;

-- name: SetCustomerStandard :exec
INSERT INTO customer_standards (customer_id, tier, look_time) VALUES (@customer_id, @tier, @look_time)
ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier, look_time = excluded.look_time;

-- name: DropCustomerStandard :exec
DELETE FROM customer_standards WHERE customer_id = @customer_id;

-- name: ListStandardsToLook :many
SELECT customer_id FROM customer_standards WHERE look_time <= @now ORDER BY look_time LIMIT @size;

-- name: GetRaisedTier :one
SELECT raised_tier(@ticket_id)::smallint AS tier;

-- name: InsertEscalation :exec
INSERT INTO escalations (id, ticket_id, state, reason, actor, by_customer, request_staff_id, from_tier, to_tier, create_time, due_time, decision_reason)
VALUES (@id, @ticket_id, 1, @reason, @actor, @by_customer, @request_staff_id, @from_tier, @to_tier, @create_time, @due_time, '');

-- name: GetEscalation :one
SELECT * FROM escalations WHERE id = @id;

-- name: DecideEscalation :execrows
UPDATE escalations SET state = @state, decide_staff_id = @decide_staff_id, decide_time = @decide_time, decision_reason = @decision_reason
WHERE id = @id AND state = 1;

-- name: LapseEscalations :many
UPDATE escalations SET state = 4, decide_time = @decide_time WHERE ticket_id = @ticket_id AND state = 1 RETURNING id;

-- name: ListEscalationsOf :many
SELECT * FROM escalations WHERE ticket_id = @ticket_id ORDER BY id LIMIT 500;

-- name: ListUndecidedEscalations :many
SELECT e.* FROM escalations e JOIN tickets t ON t.id = e.ticket_id
WHERE e.state = 1 AND (@everything::boolean OR t.department_id = sqlc.narg('department_id')::uuid) ORDER BY e.due_time, e.id LIMIT 500;
