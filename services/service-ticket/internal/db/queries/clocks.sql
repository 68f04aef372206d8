-- name: DrawTicket :one
-- What a new ticket needs before it is stored, in one round trip.
SELECT nextval('ticket_numbers')::bigint AS number,
  standard_tier(sqlc.narg('customer_id'))::smallint AS service_tier,
  policy_in_effect(@now)::bigint AS policy_version, triage_rules_in_effect(@now)::bigint AS triage_version,
  (SELECT version FROM routing_versions)::bigint AS routing_version;

-- name: GetServiceTier :one
SELECT standard_tier(sqlc.narg('customer_id'))::smallint AS service_tier;

-- name: HoldServiceTier :one
SELECT hold_service_tier(sqlc.narg('customer_id'))::smallint AS service_tier;

-- name: RequireServiceTier :exec
SELECT require_service_tier(sqlc.narg('customer_id'), @service_tier::smallint);

-- name: SetPolicyVersion :exec
UPDATE tickets SET policy_version = @policy_version WHERE id = @id;

-- name: SetServiceTier :exec
UPDATE tickets SET service_tier = @service_tier WHERE id = @id;

-- name: LockTicketsOfOtherTier :many
-- Tickets that go on and whose clocks run by another tier than their customer's standard, or the
-- one they were raised to, is now: those
-- of the customer and of all who were merged into it. In the order of their ids, as
-- LockTickets.
WITH RECURSIVE family AS (
  SELECT @customer_id::uuid AS id
  UNION
  SELECT c.id FROM family JOIN customer_refs c ON c.merged_into = family.id
)
SELECT * FROM tickets
WHERE customer_id IN (SELECT id FROM family) AND state BETWEEN 1 AND 5
  AND service_tier NOT IN (0, GREATEST(standard_tier(customer_id), raised_tier(id)))
ORDER BY id FOR NO KEY UPDATE;
