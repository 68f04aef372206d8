-- name: InsertTransition :exec
INSERT INTO complaint_transitions (complaint_id, version, verb, from_state, to_state, round, reason, actor,
  actor_staff_id, handler_staff_id, occur_time)
VALUES (@complaint_id, @version, @verb, @from_state, @to_state, @round, @reason, @actor, @actor_staff_id,
  @handler_staff_id, @occur_time);

-- name: InsertTransitions :copyfrom
INSERT INTO complaint_transitions (complaint_id, version, verb, from_state, to_state, round, reason, actor,
  actor_staff_id, handler_staff_id, occur_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: ListTransitions :many
SELECT * FROM complaint_transitions WHERE complaint_id = @complaint_id AND version > @after
ORDER BY version LIMIT @size;

-- name: ListPastTransitions :many
SELECT complaint_id, verb, from_state, to_state, occur_time FROM complaint_transitions
WHERE complaint_id = ANY(@ids::uuid[]) ORDER BY complaint_id, version;

-- name: SelectHandlers :many
-- Everyone who was given the complaint before this round.
SELECT DISTINCT handler_staff_id::uuid AS staff_id FROM complaint_transitions
WHERE complaint_id = @complaint_id AND handler_staff_id IS NOT NULL AND round < @before;

-- name: InsertContact :exec
INSERT INTO complaint_contacts (id, complaint_id, round, version, channel, two_way, note, contact_time, staff_id)
VALUES (@id, @complaint_id, @round, @version, @channel, @two_way, @note, @contact_time, @staff_id);

-- name: SelectTries :many
-- The contacts since the last assignment.
SELECT channel, two_way, contact_time FROM complaint_contacts WHERE complaint_id = @complaint_id AND version > @after;

-- name: ListContacts :many
SELECT * FROM complaint_contacts WHERE complaint_id = @complaint_id AND version > @after
ORDER BY version LIMIT @size;
