-- +goose Up
CREATE TABLE tasks (
  id             uuid PRIMARY KEY,
  ticket_id      uuid NOT NULL,
  title          text NOT NULL,
  department_id  uuid NOT NULL,
  owner_staff_id uuid,
  required       boolean NOT NULL,
  due_time       timestamptz NOT NULL,
  state          smallint NOT NULL,
  result         text NOT NULL,
  end_time       timestamptz,
  create_time    timestamptz NOT NULL,
  update_time    timestamptz NOT NULL,
  version        bigint NOT NULL,
  CONSTRAINT tasks_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT tasks_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id),
  CONSTRAINT tasks_owner_staff_id_fkey FOREIGN KEY (owner_staff_id) REFERENCES staff (id),
  CONSTRAINT tasks_end_time_check CHECK ((state = 1) = (end_time IS NULL))
);
CREATE INDEX tasks_ticket_id_idx ON tasks (ticket_id, id);
CREATE INDEX tasks_owner_staff_id_idx ON tasks (owner_staff_id, due_time, id) WHERE state = 1;
CREATE INDEX tasks_department_id_idx ON tasks (department_id, due_time, id) WHERE state = 1 AND owner_staff_id IS NULL;

-- +goose Down
DROP TABLE tasks;
