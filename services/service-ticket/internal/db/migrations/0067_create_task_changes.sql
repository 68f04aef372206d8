-- +goose Up
-- What was before and after each change of a sub-task, in the story of the ticket where it
-- happened: a task that goes on with another ticket leaves it there.
CREATE TABLE task_changes (
  id                uuid PRIMARY KEY,
  ticket_id         uuid NOT NULL,
  task_id           uuid NOT NULL,
  version           bigint NOT NULL,
  reason            text NOT NULL,
  title_changed     boolean NOT NULL,
  due_time_before   timestamptz NOT NULL,
  due_time          timestamptz NOT NULL,
  owner_before      uuid,
  owner             uuid,
  department_before uuid NOT NULL,
  department        uuid NOT NULL,
  staff_id          uuid,
  create_time       timestamptz NOT NULL,
  CONSTRAINT task_changes_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT task_changes_task_id_version_key UNIQUE (task_id, version),
  CONSTRAINT task_changes_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks (id)
);
CREATE INDEX task_changes_ticket_id_idx ON task_changes (ticket_id, id);

-- +goose Down
DROP TABLE task_changes;
