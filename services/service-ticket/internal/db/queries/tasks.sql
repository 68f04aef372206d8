-- name: InsertTask :exec
INSERT INTO tasks (id, ticket_id, title, department_id, owner_staff_id, required, due_time, state, result, create_time, update_time, version, kind, told_due_time)
VALUES (@id, @ticket_id, @title, @department_id, @owner_staff_id, @required, @due_time, 1, '', @create_time, @create_time, 1, @kind, @told_due_time);

-- name: GetTask :one
SELECT * FROM tasks WHERE id = @id;

-- name: LockTask :one
SELECT * FROM tasks WHERE id = @id FOR NO KEY UPDATE;

-- name: EndTask :exec
UPDATE tasks SET state = @state, result = @result, end_time = @end_time::timestamptz, update_time = @end_time::timestamptz, version = @version
WHERE id = @id;

-- name: ChangeTask :exec
UPDATE tasks SET title = @title, department_id = @department_id, owner_staff_id = @owner_staff_id, due_time = @due_time,
  update_time = @update_time, version = @version
WHERE id = @id;

-- name: InsertTaskChange :exec
INSERT INTO task_changes (id, ticket_id, task_id, version, reason, title_changed, due_time_before, due_time, owner_before, owner,
  department_before, department, staff_id, create_time)
VALUES (@id, @ticket_id, @task_id, @version, @reason, @title_changed, @due_time_before, @due_time, @owner_before, @owner,
  @department_before, @department, @staff_id, @create_time);

-- name: ListTaskChangesByID :many
SELECT * FROM task_changes WHERE id = ANY(@ids::uuid[]);

-- name: LockOpenTasks :many
SELECT * FROM tasks WHERE ticket_id = @ticket_id AND state = 1 ORDER BY id FOR NO KEY UPDATE;

-- name: ListTicketTasks :many
SELECT * FROM tasks WHERE ticket_id = @ticket_id AND id > @after ORDER BY id LIMIT @size;

-- name: LockOverdueTasks :many
-- Open tasks whose due time has passed, of which was not told yet, each with its ticket.
SELECT sqlc.embed(tasks), sqlc.embed(tickets)
FROM tasks JOIN tickets ON tickets.id = tasks.ticket_id
WHERE tasks.state = 1 AND tasks.told_due_time IS DISTINCT FROM tasks.due_time AND tasks.due_time < @now::timestamptz
ORDER BY tasks.due_time, tasks.id LIMIT @size
FOR NO KEY UPDATE OF tasks SKIP LOCKED;

-- name: MarkTasksTold :exec
UPDATE tasks SET told_due_time = due_time WHERE id = ANY(@ids::uuid[]);
