-- +goose Up
CREATE TABLE complaint_responsibilities (
  id              uuid PRIMARY KEY,
  complaint_id    uuid NOT NULL CONSTRAINT complaint_responsibilities_complaint_id_fkey REFERENCES complaints,
  kind            smallint NOT NULL,
  department_id   uuid,
  staff_id        uuid,
  grounds         text NOT NULL,
  state           smallint NOT NULL,
  objection_due   timestamptz,
  proposer_actor  text NOT NULL,
  -- Empty before it was determined.
  determiner_actor text NOT NULL,
  version         bigint NOT NULL
);
-- Those that were overturned stay; of the others there is one.
CREATE UNIQUE INDEX complaint_responsibilities_complaint_id_key ON complaint_responsibilities (complaint_id) WHERE state <> 6;
CREATE INDEX complaint_responsibilities_complaint_id_idx ON complaint_responsibilities (complaint_id, id);

CREATE TABLE complaint_responsibility_steps (
  responsibility_id uuid NOT NULL CONSTRAINT complaint_responsibility_steps_responsibility_id_fkey REFERENCES complaint_responsibilities,
  version           bigint NOT NULL,
  state             smallint NOT NULL,
  reason            text NOT NULL,
  actor             text NOT NULL,
  actor_staff_id    uuid,
  occur_time        timestamptz NOT NULL,
  CONSTRAINT complaint_responsibility_steps_pkey PRIMARY KEY (responsibility_id, version)
);

-- +goose Down
DROP TABLE complaint_responsibility_steps, complaint_responsibilities;
