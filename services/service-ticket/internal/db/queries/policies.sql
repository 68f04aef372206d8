-- name: ListPastTickets :many
-- A dry run reads all tickets once, so the filters need no index. The tier is the one whose
-- standard the ticket goes by; of an imported one that of its customer now.
SELECT id, number, create_time, resolve_time, channel, type, priority, source,
  CASE WHEN service_tier <> 0 THEN service_tier ELSE GREATEST(customer_tier(customer_id), 1::smallint) END::smallint AS tier
FROM tickets
WHERE id > @after
  AND (sqlc.narg('create_from')::timestamptz IS NULL OR create_time >= sqlc.narg('create_from'))
  AND (sqlc.narg('create_to')::timestamptz IS NULL OR create_time < sqlc.narg('create_to'))
  AND (@priority::smallint = 0 OR priority = @priority)
  AND (@source::text = '' OR source = @source)
  AND (@live::boolean AND source IS NULL OR @imported::boolean AND source IS NOT NULL)
  AND (@tier::smallint = 0 OR @tier =
    CASE WHEN service_tier <> 0 THEN service_tier ELSE GREATEST(customer_tier(customer_id), 1::smallint) END)
ORDER BY id LIMIT @size;

-- name: ListPastTransitions :many
SELECT ticket_id, verb, from_state, to_state, assignee_staff_id, wait_for, occur_time
FROM ticket_transitions WHERE ticket_id = ANY(@ids::uuid[]) ORDER BY ticket_id, version;

-- name: ListPastReplies :many
SELECT ticket_id, create_time FROM comments
WHERE ticket_id = ANY(@ids::uuid[]) AND public AND author_kind = 1 ORDER BY ticket_id, id;

-- name: ListPastContacts :many
SELECT ticket_id, contact_time FROM ticket_contacts
WHERE ticket_id = ANY(@ids::uuid[]) AND two_way ORDER BY ticket_id, id;
