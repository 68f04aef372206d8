-- name: InsertContact :exec
INSERT INTO ticket_contacts (id, ticket_id, round, version, channel, two_way, note, contact_time, staff_id)
VALUES (@id, @ticket_id, @round, @version, @channel, @two_way, @note, @contact_time, @staff_id);

-- name: ListContacts :many
SELECT * FROM ticket_contacts WHERE ticket_id = @ticket_id AND id > @after ORDER BY id LIMIT @size;

-- name: GetRoundStart :one
-- When the present round of a ticket began.
SELECT max(occur_time)::timestamptz AS occur_time FROM ticket_transitions
WHERE ticket_id = @ticket_id AND verb IN ('create', 'import', 'reopen');
