-- name: ListSubjectTickets :many
-- The tickets of the customers, and those without a customer that somebody with one of the
-- phones reported.
SELECT id FROM tickets
WHERE id > @after AND (customer_id = ANY(@customer_ids::uuid[])
  OR customer_id IS NULL AND reporter_phone_index = ANY(@phones::bytea[]))
ORDER BY id LIMIT @count;

-- name: ListReportedTickets :many
SELECT * FROM tickets WHERE customer_id = ANY(@customer_ids::uuid[]) AND id > @after
  AND (reporter_phone IS NOT NULL OR reporter_email IS NOT NULL OR reporter_name <> '')
ORDER BY id LIMIT @count;

-- name: ListTicketsByIDs :many
SELECT * FROM tickets WHERE id = ANY(@ids::uuid[]) ORDER BY id FOR UPDATE;

-- name: CorrectReporter :exec
UPDATE tickets SET reporter_name = @reporter_name, reporter_phone = @reporter_phone, reporter_phone_index = @reporter_phone_index,
  reporter_email = @reporter_email, update_time = @update_time
WHERE id = @id;
