-- name: WasAsked :one
-- Whether the ticket or complaint was asked about in that round.
SELECT EXISTS (SELECT FROM invitations i
  WHERE i.ticket_id = sqlc.narg('ticket_id')::uuid AND i.round = @round::int
    OR i.complaint_id = sqlc.narg('complaint_id')::uuid AND i.round = @round::int);

-- name: InsertDueInvitation :execrows
INSERT INTO due_invitations (event_id, event_type, request_id, questionnaire_id, questionnaire_version, customer_id,
  ticket_id, complaint_id, round, language, next_time, cause_trigger, cause_id)
VALUES (@event_id, @event_type, @request_id, @questionnaire_id, @questionnaire_version, @customer_id,
  @ticket_id, @complaint_id, @round, @language, @next_time, @cause_trigger, @cause_id)
ON CONFLICT DO NOTHING;

-- name: ListDueInvitations :many
SELECT event_id, customer_id FROM due_invitations WHERE next_time <= @now ORDER BY next_time LIMIT @size;

-- name: TakeDueInvitation :one
DELETE FROM due_invitations WHERE event_id = @event_id RETURNING *;

-- name: PostponeDueInvitation :exec
UPDATE due_invitations SET next_time = @next_time WHERE event_id = @event_id;

-- name: InsertHeldBackInvitation :execrows
WITH made AS (
INSERT INTO invitations (id, questionnaire_id, questionnaire_version, customer_id, state, ticket_id, complaint_id,
  round, language, expire_time, create_actor, create_time, end_actor, end_time, end_reason, held_back, version, cause_trigger, cause_id)
VALUES (@id, @questionnaire_id, @questionnaire_version, @customer_id, 5, @ticket_id, @complaint_id,
  @round, @language, @create_time, @create_actor, @create_time, @create_actor, @create_time, @end_reason, @held_back::smallint, 1,
  @cause_trigger, @cause_id)
ON CONFLICT DO NOTHING
RETURNING id)
SELECT made.id FROM made;
