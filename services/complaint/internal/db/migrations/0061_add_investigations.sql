-- +goose Up
-- The tree of root causes. The first ones are man, machine, material, method, environment and
-- measurement (人机料法环测); the company goes on from there.
CREATE TABLE complaint_causes (
  id        uuid PRIMARY KEY,
  code      text NOT NULL CONSTRAINT complaint_causes_code_key UNIQUE,
  parent_id uuid CONSTRAINT complaint_causes_parent_id_fkey REFERENCES complaint_causes,
  name_zh   text NOT NULL,
  name_en   text NOT NULL,
  retired   boolean NOT NULL,
  version   bigint NOT NULL
);
INSERT INTO complaint_causes (id, code, name_zh, name_en, retired, version) VALUES
  ('01900000-0000-7000-8000-000000000011', 'man', '人员', 'Man', false, 1),
  ('01900000-0000-7000-8000-000000000012', 'machine', '设备', 'Machine', false, 1),
  ('01900000-0000-7000-8000-000000000013', 'material', '物料', 'Material', false, 1),
  ('01900000-0000-7000-8000-000000000014', 'method', '方法', 'Method', false, 1),
  ('01900000-0000-7000-8000-000000000015', 'environment', '环境', 'Environment', false, 1),
  ('01900000-0000-7000-8000-000000000016', 'measurement', '测量', 'Measurement', false, 1);

CREATE TABLE complaint_investigations (
  complaint_id          uuid NOT NULL,
  round                 integer NOT NULL,
  findings              text NOT NULL,
  reason                text NOT NULL,
  cause_id              uuid CONSTRAINT complaint_investigations_cause_id_fkey REFERENCES complaint_causes,
  -- When the complaint was received: repeats are looked for by cause and this.
  receive_time          timestamptz NOT NULL,
  questions             text[] NOT NULL,
  answers               text[] NOT NULL,
  consequences          smallint[] NOT NULL,
  -- Empty where there is no amount.
  currency              text NOT NULL,
  loss_units            bigint NOT NULL,
  loss_nanos            integer NOT NULL,
  investigator_staff_id uuid,
  investigate_time      timestamptz NOT NULL,
  CONSTRAINT complaint_investigations_pkey PRIMARY KEY (complaint_id, round),
  CONSTRAINT complaint_investigations_complaint_id_fkey FOREIGN KEY (complaint_id, round) REFERENCES complaint_rounds,
  CONSTRAINT complaint_investigations_answers_check CHECK (cardinality(questions) = cardinality(answers))
);
CREATE INDEX complaint_investigations_cause_id_idx ON complaint_investigations (cause_id, receive_time) WHERE cause_id IS NOT NULL;

CREATE TABLE complaint_inspections (
  complaint_id       uuid NOT NULL,
  round              integer NOT NULL,
  quality            smallint NOT NULL,
  cause              text NOT NULL,
  measures           text NOT NULL,
  inspector_staff_id uuid,
  inspect_time       timestamptz NOT NULL,
  CONSTRAINT complaint_inspections_pkey PRIMARY KEY (complaint_id, round),
  CONSTRAINT complaint_inspections_complaint_id_fkey FOREIGN KEY (complaint_id, round) REFERENCES complaint_rounds
);

-- +goose Down
DROP TABLE complaint_inspections, complaint_investigations, complaint_causes;
