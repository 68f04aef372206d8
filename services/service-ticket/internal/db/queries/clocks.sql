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
-- one they were raised to, is now: those of the customer and of all who were merged into it. In
-- the order of their ids, as LockTickets. Materialized, lest the standard be looked up for every
-- ticket that goes on, whoever's it is.
WITH RECURSIVE family AS (
  SELECT @customer_id::uuid AS id
  UNION
  SELECT c.id FROM family JOIN customer_refs c ON c.merged_into = family.id
), theirs AS MATERIALIZED (
  SELECT t.id, t.customer_id, t.service_tier FROM tickets t
  WHERE t.customer_id = ANY (ARRAY(SELECT id FROM family)) AND t.state BETWEEN 1 AND 5 AND t.service_tier <> 0
)
SELECT * FROM tickets
WHERE id = ANY (ARRAY(SELECT o.id FROM theirs o WHERE o.service_tier <> GREATEST(standard_tier(o.customer_id), raised_tier(o.id))))
  AND state BETWEEN 1 AND 5
ORDER BY id FOR NO KEY UPDATE;
