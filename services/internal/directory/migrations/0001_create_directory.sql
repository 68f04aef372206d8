-- +goose Up
-- What this service keeps of the organisation, from the events of service-ticket, which
-- owns it.
CREATE TABLE directory_departments (
  id            uuid PRIMARY KEY,
  code          text NOT NULL,
  name_zh       text NOT NULL,
  name_en       text NOT NULL,
  function      smallint NOT NULL,
  -- Not foreign keys: the event of what they name may come later.
  parent_id     uuid,
  head_staff_id uuid,
  version       bigint NOT NULL
);
CREATE INDEX directory_departments_function_idx ON directory_departments (function, id);
CREATE INDEX directory_departments_head_staff_id_idx ON directory_departments (head_staff_id, id);

CREATE TABLE directory_staff (
  id            uuid PRIMARY KEY,
  name          text NOT NULL,
  department_id uuid NOT NULL,
  posts         smallint[] NOT NULL,
  skills        text[] NOT NULL,
  languages     text[] NOT NULL,
  status        smallint NOT NULL,
  issuer        text NOT NULL,
  subject       text NOT NULL,
  version       bigint NOT NULL
);
-- Unique at the owner; here two events may cross.
CREATE INDEX directory_staff_issuer_subject_idx ON directory_staff (issuer, subject);
CREATE INDEX directory_staff_department_id_idx ON directory_staff (department_id, id);

-- +goose Down
DROP TABLE directory_staff;
DROP TABLE directory_departments;
