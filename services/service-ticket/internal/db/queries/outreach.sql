-- name: UpsertInstalledProduct :exec
INSERT INTO installed_products (id, customer_id, product_model, serial_number, version)
VALUES (@id, @customer_id, @product_model, @serial_number, @version)
ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, product_model = excluded.product_model,
  serial_number = excluded.serial_number, version = excluded.version
WHERE installed_products.version < excluded.version;

-- name: InsertFaultNotice :exec
INSERT INTO fault_notices (id, product_model, serial_from, serial_to, title, description, priority, urgency, impact, department_id, cursor, create_time)
VALUES (@id, @product_model, @serial_from, @serial_to, @title, @description, @priority, @urgency, @impact, @department_id,
  '00000000-0000-0000-0000-000000000000', @create_time);

-- name: GetFaultNotice :one
SELECT * FROM fault_notices WHERE id = @id;

-- name: ListFaultNotices :many
SELECT * FROM fault_notices WHERE id > @after ORDER BY id LIMIT @size;

-- name: GetUnfoundNotice :one
-- The oldest notice whose customers are still looked for.
SELECT * FROM fault_notices WHERE found_time IS NULL ORDER BY id LIMIT 1;

-- name: MoveFaultNotice :exec
UPDATE fault_notices SET cursor = @cursor, found_time = @found_time WHERE id = @id;

-- name: LockFaultNotice :one
SELECT * FROM fault_notices WHERE id = @id FOR NO KEY UPDATE;

-- name: RepeatFaultNotice :one
-- All customers are looked at again.
UPDATE fault_notices SET serial_from = @serial_from, serial_to = @serial_to, cursor = '00000000-0000-0000-0000-000000000000', found_time = NULL
WHERE id = @id RETURNING *;

-- name: ListAffected :many
-- The next customers with a product of a model and, where one is given, of a range of serial
-- numbers; a customer once, with the first of theirs.
SELECT customer_id, min(serial_number)::text AS serial_number FROM installed_products
WHERE product_model = @product_model AND customer_id > @after AND (@serial_from::text = ''
  OR length(serial_number) = length(@serial_from::text) AND serial_number >= @serial_from::text
    AND serial_number <= @serial_to::text)
GROUP BY customer_id ORDER BY customer_id LIMIT @size;

-- name: InsertFaultContact :execrows
INSERT INTO fault_contacts (notice_id, customer_id, serial_number, ticket_id)
VALUES (@notice_id, @customer_id, @serial_number, @ticket_id) ON CONFLICT DO NOTHING;

-- name: HasFaultContact :one
SELECT EXISTS (SELECT FROM fault_contacts WHERE notice_id = @notice_id AND customer_id = @customer_id);

-- name: CountFaultContacts :many
SELECT f.notice_id, count(*)::integer AS customers, (count(*) FILTER (WHERE t.state IN (6, 7, 8)))::integer AS done
FROM fault_contacts f JOIN tickets t ON t.id = f.ticket_id WHERE f.notice_id = ANY(@ids::uuid[]) GROUP BY f.notice_id;

-- name: ListFaultContacts :many
SELECT f.customer_id, f.serial_number, f.ticket_id, t.number, t.state, t.assignee_staff_id, t.department_id FROM fault_contacts f JOIN tickets t ON t.id = f.ticket_id
WHERE f.notice_id = @notice_id AND f.customer_id > @after ORDER BY f.customer_id LIMIT @size;
