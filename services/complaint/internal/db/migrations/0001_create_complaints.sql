-- +goose Up
CREATE SEQUENCE complaint_numbers;

CREATE TABLE complaints (
  id                  uuid PRIMARY KEY,
  number              text NOT NULL CONSTRAINT complaints_number_key UNIQUE,
  customer_id         uuid CONSTRAINT complaints_customer_id_fkey REFERENCES customer_refs,
  channel             smallint NOT NULL,
  title               text NOT NULL,
  description         text NOT NULL,
  category            smallint NOT NULL,
  severity_facts      smallint[] NOT NULL,
  order_number        text NOT NULL,
  product_model       text NOT NULL,
  quantity            integer NOT NULL,
  -- Empty where there is no amount.
  currency            text NOT NULL,
  amount_units        bigint NOT NULL,
  amount_nanos        integer NOT NULL,
  demanded_remedy     text NOT NULL,
  accused_staff_id    uuid CONSTRAINT complaints_accused_staff_id_fkey REFERENCES directory_staff,
  ticket_id           uuid,
  state               smallint NOT NULL,
  round               integer NOT NULL,
  quality             smallint NOT NULL,
  severity            smallint NOT NULL,
  department_id       uuid CONSTRAINT complaints_department_id_fkey REFERENCES directory_departments,
  -- Of the present round.
  handler_staff_id    uuid CONSTRAINT complaints_handler_staff_id_fkey REFERENCES directory_staff,
  outcome             smallint NOT NULL,
  close_reason        text NOT NULL,
  source              text,
  external_id         text,
  registered_by       text NOT NULL,
  -- Not a foreign key: staff may be known before their department.
  registered_in       uuid,
  version             bigint NOT NULL,
  create_time         timestamptz NOT NULL,
  update_time         timestamptz NOT NULL,
  close_time          timestamptz,
  CONSTRAINT complaints_source_external_id_key UNIQUE (source, external_id),
  CONSTRAINT complaints_source_check CHECK ((source IS NULL) = (external_id IS NULL)),
  CONSTRAINT complaints_customer_id_check CHECK (customer_id IS NOT NULL OR source IS NOT NULL),
  CONSTRAINT complaints_amount_check CHECK (amount_units >= 0 AND amount_nanos BETWEEN 0 AND 999999999),
  CONSTRAINT complaints_round_check CHECK (round >= 1),
  CONSTRAINT complaints_outcome_check CHECK ((state = 9) = (outcome <> 0) AND (state = 9) = (close_time IS NOT NULL)),
  -- Whoever is complained about never handles.
  CONSTRAINT complaints_handler_staff_id_check CHECK (handler_staff_id <> accused_staff_id),
  CONSTRAINT complaints_close_time_check CHECK (close_time >= create_time)
);
-- Lists walk one of these once for each state they want.
CREATE INDEX complaints_state_idx ON complaints (state, id);
CREATE INDEX complaints_customer_id_idx ON complaints (customer_id, state, id);
CREATE INDEX complaints_handler_staff_id_idx ON complaints (handler_staff_id, state, id);
CREATE INDEX complaints_department_id_idx ON complaints (department_id, state, id);
CREATE INDEX complaints_source_idx ON complaints (source, state, id) WHERE source IS NOT NULL;
-- Repeats: the same customer's complaints of the last months.
CREATE INDEX complaints_customer_id_create_time_idx ON complaints (customer_id, create_time);

-- Who may read a complaint, as keys that callers have. The complaint's state stands here
-- too, for lists of those who may not read everything.
CREATE TABLE complaint_readers (
  complaint_id uuid NOT NULL CONSTRAINT complaint_readers_complaint_id_fkey REFERENCES complaints,
  reader       text NOT NULL,
  state        smallint NOT NULL,
  CONSTRAINT complaint_readers_pkey PRIMARY KEY (complaint_id, reader)
);
CREATE INDEX complaint_readers_reader_idx ON complaint_readers (reader, state, complaint_id);

CREATE TABLE complaint_rounds (
  complaint_id         uuid NOT NULL CONSTRAINT complaint_rounds_complaint_id_fkey REFERENCES complaints,
  number               integer NOT NULL,
  start_time           timestamptz NOT NULL,
  handler_staff_id     uuid CONSTRAINT complaint_rounds_handler_staff_id_fkey REFERENCES directory_staff,
  submit_time          timestamptz,
  review_time          timestamptz,
  valid_at_first_sight boolean,
  assign_time          timestamptz,
  -- Version of the complaint at the last assignment: contacts before it count no more.
  assign_version       bigint NOT NULL,
  contact_time         timestamptz,
  tell_time            timestamptz,
  tell_channel         smallint NOT NULL,
  told                 text NOT NULL,
  satisfaction         smallint NOT NULL,
  answer_said_by       text NOT NULL,
  answer_channel       smallint NOT NULL,
  answer_note          text NOT NULL,
  answer_time          timestamptz,
  survey_answer_id     uuid,
  CONSTRAINT complaint_rounds_pkey PRIMARY KEY (complaint_id, number),
  CONSTRAINT complaint_rounds_number_check CHECK (number >= 1),
  CONSTRAINT complaint_rounds_answer_check CHECK ((satisfaction = 0) = (answer_time IS NULL))
);

CREATE TABLE complaint_proposals (
  complaint_id      uuid NOT NULL,
  round             integer NOT NULL,
  number            integer NOT NULL,
  findings          text NOT NULL,
  cause             text NOT NULL,
  validity          smallint NOT NULL,
  remedy            smallint NOT NULL,
  -- Empty where there is no amount.
  currency          text NOT NULL,
  amount_units      bigint NOT NULL,
  amount_nanos      integer NOT NULL,
  solution          text NOT NULL,
  proposer_actor    text NOT NULL,
  proposer_staff_id uuid CONSTRAINT complaint_proposals_proposer_staff_id_fkey REFERENCES directory_staff,
  propose_time      timestamptz NOT NULL,
  decision          smallint NOT NULL,
  decision_reason   text NOT NULL,
  decide_time       timestamptz,
  approver_actor    text NOT NULL,
  approver_staff_id uuid CONSTRAINT complaint_proposals_approver_staff_id_fkey REFERENCES directory_staff,
  CONSTRAINT complaint_proposals_pkey PRIMARY KEY (complaint_id, round, number),
  CONSTRAINT complaint_proposals_complaint_id_fkey FOREIGN KEY (complaint_id, round) REFERENCES complaint_rounds,
  CONSTRAINT complaint_proposals_amount_check CHECK (amount_units >= 0 AND amount_nanos BETWEEN 0 AND 999999999),
  CONSTRAINT complaint_proposals_decision_check CHECK ((decision = 0) = (decide_time IS NULL)),
  -- Who asks never approves.
  CONSTRAINT complaint_proposals_approver_check CHECK (approver_actor <> proposer_actor AND approver_staff_id <> proposer_staff_id)
);

CREATE TABLE complaint_contacts (
  id           uuid PRIMARY KEY,
  complaint_id uuid NOT NULL CONSTRAINT complaint_contacts_complaint_id_fkey REFERENCES complaints,
  round        integer NOT NULL,
  -- Version of the complaint that logged it.
  version      bigint NOT NULL,
  channel      smallint NOT NULL,
  two_way      boolean NOT NULL,
  note         text NOT NULL,
  contact_time timestamptz NOT NULL,
  staff_id     uuid CONSTRAINT complaint_contacts_staff_id_fkey REFERENCES directory_staff,
  CONSTRAINT complaint_contacts_complaint_id_version_key UNIQUE (complaint_id, version)
);

CREATE TABLE complaint_transitions (
  complaint_id     uuid NOT NULL CONSTRAINT complaint_transitions_complaint_id_fkey REFERENCES complaints,
  version          bigint NOT NULL,
  verb             text NOT NULL,
  from_state       smallint NOT NULL,
  to_state         smallint NOT NULL,
  round            integer NOT NULL,
  reason           text NOT NULL,
  actor            text NOT NULL,
  actor_staff_id   uuid,
  handler_staff_id uuid,
  occur_time       timestamptz NOT NULL,
  CONSTRAINT complaint_transitions_pkey PRIMARY KEY (complaint_id, version)
);

-- +goose Down
DROP TABLE complaint_transitions, complaint_contacts, complaint_proposals, complaint_rounds, complaint_readers, complaints;
DROP SEQUENCE complaint_numbers;
