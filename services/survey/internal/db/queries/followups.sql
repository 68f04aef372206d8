-- name: KeepFollowUp :exec
-- Events of a ticket come in order; one that comes again changes nothing.
INSERT INTO follow_ups (ticket_id, answer_id, number, state, open_time, resolve_time, version)
VALUES (@ticket_id, @answer_id, @number, @state, @open_time, @resolve_time, @version)
ON CONFLICT (ticket_id) DO UPDATE SET state = excluded.state, open_time = coalesce(follow_ups.open_time, excluded.open_time),
  resolve_time = coalesce(excluded.resolve_time, follow_ups.resolve_time), version = excluded.version
WHERE follow_ups.version < excluded.version;

-- name: ListFollowUps :many
SELECT * FROM follow_ups WHERE answer_id = @answer_id ORDER BY ticket_id;

-- name: GetAnswer :one
SELECT * FROM answers WHERE id = $1;

-- name: ListInvitationsAgain :many
-- Those that asked after a follow-up.
SELECT * FROM invitations WHERE ticket_id = @ticket_id::uuid ORDER BY round, id;

-- name: KeepFirstDelivery :execrows
INSERT INTO first_deliveries (customer_id, order_id, delivery_time) VALUES (@customer_id, @order_id, @delivery_time)
ON CONFLICT DO NOTHING;

-- name: WasAskedAbout :one
SELECT EXISTS (SELECT FROM invitations WHERE cause_trigger = @cause_trigger::smallint AND cause_id = @cause_id::uuid);
