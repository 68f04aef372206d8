-- name: InsertInvitation :execrows
WITH made AS (
INSERT INTO invitations (id, questionnaire_id, questionnaire_version, customer_id, state, ticket_id, complaint_id,
  round, language, expire_time, link_hash, create_actor, create_time, version, cause_trigger, cause_id)
VALUES (@id, @questionnaire_id, @questionnaire_version, @customer_id, 1, @ticket_id, @complaint_id,
  @round, @language, @expire_time, @link_hash, @create_actor, @create_time, 1,
  @cause_trigger, @cause_id)
ON CONFLICT DO NOTHING
RETURNING id)
INSERT INTO uncounted (id) SELECT made.id FROM made;

-- name: GetInvitation :one
SELECT * FROM invitations WHERE id = $1;

-- name: LockInvitation :one
SELECT * FROM invitations WHERE id = $1 FOR UPDATE;

-- name: GetInvitationByLink :one
SELECT * FROM invitations WHERE link_hash = $1;

-- name: LockInvitationByLink :one
SELECT * FROM invitations WHERE link_hash = $1 FOR UPDATE;

-- name: UpdateInvitationLink :exec
UPDATE invitations SET link_hash = @link_hash, version = version + 1 WHERE id = @id;

-- name: UpdateInvitationEnd :exec
UPDATE invitations
SET state = @state, end_actor = @end_actor, end_time = @end_time, end_reason = @end_reason,
    answer_id = @answer_id, version = version + 1
WHERE id = @id;

-- name: LockPendingOfCustomer :many
SELECT * FROM invitations
WHERE customer_id = @customer_id AND state = 1 ORDER BY id DESC FOR UPDATE;

-- name: LockOverdueInvitations :many
SELECT * FROM invitations
WHERE state = 1 AND expire_time <= @now ORDER BY expire_time LIMIT @size FOR UPDATE SKIP LOCKED;

-- name: LockConsent :one
SELECT service_quality_consent FROM customer_refs WHERE id = $1 FOR SHARE;

-- name: ListInvitations :many
SELECT * FROM invitations WHERE id < @before ORDER BY id DESC LIMIT @size;

-- name: ListPendingInvitations :many
SELECT * FROM invitations WHERE state = 1 AND expire_time > @now AND id < @before ORDER BY id DESC LIMIT @size;

-- name: ListEndedInvitations :many
SELECT * FROM invitations WHERE state = @state AND id < @before ORDER BY id DESC LIMIT @size;

-- name: ListExpiredInvitations :many
SELECT i.* FROM (
  (SELECT e.* FROM invitations e WHERE e.state = 3 AND e.id < @before ORDER BY e.id DESC LIMIT @size)
  UNION ALL
  (SELECT o.* FROM invitations o WHERE o.state = 1 AND o.expire_time <= @now AND o.id < @before ORDER BY o.id DESC LIMIT @size)
) i ORDER BY i.id DESC LIMIT @size;

-- name: ListInvitationsOfCustomer :many
-- State 0 is every state; a pending invitation past its time counts as expired.
SELECT * FROM invitations
WHERE customer_id = @customer_id AND id < @before
  AND (@state::smallint = 0 OR @state = CASE WHEN state = 1 AND expire_time <= @now THEN 3 ELSE state END)
ORDER BY id DESC LIMIT @size;

-- name: ListInvitationsOfTicket :many
SELECT * FROM invitations
WHERE ticket_id = @ticket_id AND id < @before
  AND (@state::smallint = 0 OR @state = CASE WHEN state = 1 AND expire_time <= @now THEN 3 ELSE state END)
  AND (sqlc.narg('complaint_id')::uuid IS NULL OR complaint_id = sqlc.narg('complaint_id'))
  AND (sqlc.narg('customer_id')::uuid IS NULL OR customer_id = sqlc.narg('customer_id'))
ORDER BY id DESC LIMIT @size;

-- name: ListInvitationsOfComplaint :many
SELECT * FROM invitations
WHERE complaint_id = @complaint_id AND id < @before
  AND (@state::smallint = 0 OR @state = CASE WHEN state = 1 AND expire_time <= @now THEN 3 ELSE state END)
  AND (sqlc.narg('customer_id')::uuid IS NULL OR customer_id = sqlc.narg('customer_id'))
ORDER BY id DESC LIMIT @size;
