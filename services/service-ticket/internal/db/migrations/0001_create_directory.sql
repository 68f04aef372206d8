-- +goose Up
CREATE TABLE departments (
  id            uuid PRIMARY KEY,
  code          text NOT NULL,
  name_zh       text NOT NULL,
  name_en       text NOT NULL,
  function      smallint NOT NULL,
  parent_id     uuid,
  head_staff_id uuid,
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  version       bigint NOT NULL,
  CONSTRAINT departments_code_key UNIQUE (code),
  CONSTRAINT departments_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES departments (id),
  CONSTRAINT departments_parent_id_check CHECK (parent_id <> id)
);
CREATE INDEX departments_parent_id_idx ON departments (parent_id);

CREATE TABLE staff (
  id            uuid PRIMARY KEY,
  name          text NOT NULL,
  department_id uuid NOT NULL,
  posts         smallint[] NOT NULL,
  skills        text[] NOT NULL,
  languages     text[] NOT NULL,
  status        smallint NOT NULL,
  issuer        text NOT NULL,
  subject       text NOT NULL,
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  version       bigint NOT NULL,
  CONSTRAINT staff_issuer_subject_key UNIQUE (issuer, subject),
  CONSTRAINT staff_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id)
);
CREATE INDEX staff_department_id_idx ON staff (department_id, id);
CREATE INDEX staff_subject_idx ON staff (subject, id);

ALTER TABLE departments ADD CONSTRAINT departments_head_staff_id_fkey
  FOREIGN KEY (head_staff_id) REFERENCES staff (id);

-- +goose Down
ALTER TABLE departments DROP CONSTRAINT departments_head_staff_id_fkey;
DROP TABLE staff;
DROP TABLE departments;
