-- +goose Up
-- The due time of which it was told that it has passed. A task that is given another one is
-- told of again, whoever gives it.
ALTER TABLE tasks ADD COLUMN told_due_time timestamptz;
-- What an import brought along past its due time is history, of which nobody is told.
UPDATE tasks SET told_due_time = tasks.due_time FROM tickets
WHERE tasks.state = 1 AND tasks.due_time < now() AND tickets.id = tasks.ticket_id
  AND tickets.source IS NOT NULL AND tasks.create_time = tickets.create_time;
CREATE INDEX tasks_untold_idx ON tasks (due_time, id) WHERE state = 1 AND told_due_time IS DISTINCT FROM due_time;

-- For the tasks of a department that are overdue, whoever has them.
CREATE INDEX tasks_department_due_idx ON tasks (department_id, due_time) WHERE state = 1;

-- Lists of one kind find it as fast as those of all.
CREATE INDEX tasks_owner_kind_idx ON tasks (owner_staff_id, kind, due_time, id) WHERE state = 1;
CREATE INDEX tasks_department_kind_idx ON tasks (department_id, kind, due_time, id) WHERE state = 1 AND owner_staff_id IS NULL;
DROP INDEX tasks_owner_staff_id_idx, tasks_department_id_idx;

-- +goose Down
CREATE INDEX tasks_owner_staff_id_idx ON tasks (owner_staff_id, due_time, id) WHERE state = 1;
CREATE INDEX tasks_department_id_idx ON tasks (department_id, due_time, id) WHERE state = 1 AND owner_staff_id IS NULL;
DROP INDEX tasks_department_kind_idx, tasks_owner_kind_idx, tasks_department_due_idx, tasks_untold_idx;
ALTER TABLE tasks DROP COLUMN told_due_time;
