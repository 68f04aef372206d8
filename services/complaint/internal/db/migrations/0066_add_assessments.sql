-- +goose Up
-- What departments and persons are charged with for what a complaint found them responsible for.
CREATE TABLE complaint_assessments (
  id             uuid PRIMARY KEY,
  complaint_id   uuid NOT NULL CONSTRAINT complaint_assessments_complaint_id_fkey REFERENCES complaints,
  department_id  uuid NOT NULL,
  staff_id       uuid,
  points         integer NOT NULL,
  grounds        text NOT NULL,
  cause_id       uuid NOT NULL CONSTRAINT complaint_assessments_cause_id_fkey REFERENCES complaint_causes,
  consequences   smallint[] NOT NULL,
  state          smallint NOT NULL,
  appeal_due     timestamptz,
  enterer_actor  text NOT NULL,
  -- Empty before it was approved or refused.
  approver_actor text NOT NULL,
  version        bigint NOT NULL,
  CONSTRAINT complaint_assessments_points_check CHECK (points BETWEEN 1 AND 100),
  -- Who enters never approves.
  CONSTRAINT complaint_assessments_approver_actor_check CHECK (approver_actor <> enterer_actor)
);
-- Those that were refused or withdrawn stay; of the others there is one of a party.
CREATE UNIQUE INDEX complaint_assessments_complaint_id_key ON complaint_assessments
  (complaint_id, department_id, coalesce(staff_id, '00000000-0000-0000-0000-000000000000')) WHERE state NOT IN (3, 6);
CREATE INDEX complaint_assessments_complaint_id_idx ON complaint_assessments (complaint_id, id);

CREATE TABLE complaint_assessment_steps (
  assessment_id  uuid NOT NULL CONSTRAINT complaint_assessment_steps_assessment_id_fkey REFERENCES complaint_assessments,
  version        bigint NOT NULL,
  state          smallint NOT NULL,
  reason         text NOT NULL,
  actor          text NOT NULL,
  actor_staff_id uuid,
  occur_time     timestamptz NOT NULL,
  CONSTRAINT complaint_assessment_steps_pkey PRIMARY KEY (assessment_id, version)
);

-- +goose Down
DROP TABLE complaint_assessment_steps, complaint_assessments;
