-- name: InsertTask :exec
INSERT INTO tasks (id, ticket_id, title, department_id, owner_staff_id, required, due_time, state, result, create_time, update_time, version, kind)
VALUES (@id, @ticket_id, @title, @department_id, @owner_staff_id, @required, @due_time, 1, '', @create_time, @create_time, 1, @kind);

-- name: GetTask :one
SELECT * FROM tasks WHERE id = @id;

-- name: LockTask :one
SELECT * FROM tasks WHERE id = @id FOR NO KEY UPDATE;

-- name: EndTask :exec
UPDATE tasks SET state = @state, result = @result, end_time = @end_time::timestamptz, update_time = @end_time::timestamptz, version = @version
WHERE id = @id;

-- name: LockOpenTasks :many
SELECT * FROM tasks WHERE ticket_id = @ticket_id AND state = 1 ORDER BY id FOR NO KEY UPDATE;

-- name: ListTicketTasks :many
SELECT * FROM tasks WHERE ticket_id = @ticket_id AND id > @after ORDER BY id LIMIT @size;

-- name: ListOpenTasks :many
-- Those of a person and, without an owner, of their department; the first of each, merged.
SELECT t.* FROM (
  (SELECT o.* FROM tasks o WHERE o.owner_staff_id = @staff_id::uuid AND o.state = 1
     AND (o.due_time, o.id) > (@after_due::timestamptz, @after::uuid)
   ORDER BY o.due_time, o.id LIMIT @size)
  UNION ALL
  (SELECT d.* FROM tasks d WHERE d.department_id = @department_id::uuid AND d.owner_staff_id IS NULL AND d.state = 1
     AND (d.due_time, d.id) > (@after_due::timestamptz, @after::uuid)
   ORDER BY d.due_time, d.id LIMIT @size)
) t ORDER BY t.due_time, t.id LIMIT @size;
