-- name: LockThread :exec
-- Messages of one thread, number or customer follow each other, so that two at once do not open
-- two cases. Released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('intake/' || @thread::text, 0));

-- name: GetIntakeMessage :one
SELECT * FROM intake_messages WHERE source = @source AND message_id = @message_id;

-- name: InsertIntakeMessage :exec
INSERT INTO intake_messages (source, message_id, thread, ticket_id, joined, create_time)
VALUES (@source, @message_id, @thread, @ticket_id, @joined, @create_time);

-- name: LastOfThread :one
SELECT ticket_id FROM intake_messages WHERE source = @source AND thread = @thread ORDER BY create_time DESC LIMIT 1;

-- name: GetTicketByNumber :one
SELECT * FROM tickets WHERE number = @number;

-- name: FindOpenCases :many
-- Of the newest hundred of the number, so that a number with a long past costs no more.
SELECT * FROM tickets t WHERE t.id = ANY(ARRAY(
  (SELECT c.id FROM tickets c WHERE c.customer_id = sqlc.narg('customer_id')::uuid AND c.state IN (1, 2, 3, 4, 5, 6) LIMIT 200)
  UNION
  (SELECT p.id FROM (SELECT n.id, n.state FROM tickets n WHERE n.reporter_phone_index = sqlc.narg('phone_index')::bytea ORDER BY n.id DESC LIMIT 100) p
   WHERE p.state IN (1, 2, 3, 4, 5, 6))))
ORDER BY t.update_time DESC, t.id DESC LIMIT @size;

-- name: InsertConnector :exec
INSERT INTO connectors (id, code, channel, off, secret_generation, create_time) VALUES (@id, @code, @channel, false, 1, @create_time);

-- name: GetConnectorByCode :one
SELECT * FROM connectors WHERE code = @code;

-- name: LockConnector :one
SELECT * FROM connectors WHERE id = @id FOR NO KEY UPDATE;

-- name: UpdateConnector :exec
UPDATE connectors SET off = @off, secret_generation = @secret_generation, previous_until = @previous_until WHERE id = @id;

-- name: ListConnectors :many
SELECT * FROM connectors WHERE id > @after ORDER BY id LIMIT @size;
