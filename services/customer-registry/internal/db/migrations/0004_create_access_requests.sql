-- +goose Up
-- Who asked for which files; an approved one is the grant, until end_time.
CREATE TABLE access_requests (
  id              uuid PRIMARY KEY,
  asker           text NOT NULL,
  purpose         text NOT NULL,
  days            integer NOT NULL,
  -- The person outside for whom a sponsor asks; all three or none.
  outsider        text,
  organisation    text,
  identity_check  text,
  state           smallint NOT NULL,
  decider         text,
  decide_time     timestamptz,
  note            text NOT NULL,
  end_time        timestamptz,
  revoke_time     timestamptz,
  create_time     timestamptz NOT NULL,
  version         bigint NOT NULL,
  CONSTRAINT access_requests_outsider_check CHECK (
    (outsider IS NULL) = (organisation IS NULL) AND (outsider IS NULL) = (identity_check IS NULL)),
  CONSTRAINT access_requests_decider_check CHECK ((state = 1) = (decider IS NULL) AND (state = 1) = (decide_time IS NULL)),
  -- Whatever path a decision came by.
  CONSTRAINT access_requests_second_person_check CHECK (decider <> asker),
  CONSTRAINT access_requests_end_time_check CHECK ((end_time IS NULL) = (state IN (1, 3)))
);
CREATE INDEX access_requests_asker_idx ON access_requests (asker, id DESC);
CREATE INDEX access_requests_state_idx ON access_requests (state, id DESC);
CREATE INDEX access_requests_create_time_idx ON access_requests (create_time);

CREATE TABLE access_request_customers (
  request_id  uuid NOT NULL CONSTRAINT access_request_customers_request_id_fkey REFERENCES access_requests,
  customer_id uuid NOT NULL CONSTRAINT access_request_customers_customer_id_fkey REFERENCES customers,
  CONSTRAINT access_request_customers_pkey PRIMARY KEY (request_id, customer_id)
);
CREATE INDEX access_request_customers_customer_id_idx ON access_request_customers (customer_id, request_id);

-- Extracts that were handed to people outside.
CREATE TABLE access_extracts (
  id          uuid PRIMARY KEY,
  request_id  uuid NOT NULL CONSTRAINT access_extracts_request_id_fkey REFERENCES access_requests,
  create_time timestamptz NOT NULL
);
CREATE INDEX access_extracts_create_time_idx ON access_extracts (create_time);

-- Openings in an emergency.
CREATE TABLE break_glasses (
  id          uuid PRIMARY KEY,
  actor       text NOT NULL,
  customer_id uuid NOT NULL CONSTRAINT break_glasses_customer_id_fkey REFERENCES customers,
  reason      text NOT NULL,
  end_time    timestamptz NOT NULL,
  create_time timestamptz NOT NULL,
  reviewer    text,
  review_time timestamptz,
  justified   boolean,
  note        text,
  version     bigint NOT NULL,
  CONSTRAINT break_glasses_review_check CHECK (
    (reviewer IS NULL) = (review_time IS NULL) AND (reviewer IS NULL) = (justified IS NULL) AND (reviewer IS NULL) = (note IS NULL)),
  CONSTRAINT break_glasses_second_person_check CHECK (reviewer <> actor)
);
CREATE INDEX break_glasses_actor_idx ON break_glasses (actor, id DESC);
CREATE INDEX break_glasses_customer_id_idx ON break_glasses (customer_id, actor);
CREATE INDEX break_glasses_create_time_idx ON break_glasses (create_time);
CREATE INDEX break_glasses_unreviewed_idx ON break_glasses (id DESC) WHERE reviewer IS NULL;

-- One row a read of a file, beside its audit record: what the quarterly review counts.
CREATE TABLE file_reads (
  id          uuid PRIMARY KEY,
  read_time   timestamptz NOT NULL,
  reader      text NOT NULL,
  customer_id uuid NOT NULL,
  basis       smallint NOT NULL
);
CREATE INDEX file_reads_read_time_idx ON file_reads (read_time) INCLUDE (reader, customer_id, basis);
CREATE INDEX file_reads_reader_idx ON file_reads (reader, read_time);

-- How much of a day's unmasking is used, one row a person and day.
CREATE TABLE unmask_budgets (
  actor text NOT NULL,
  day   date NOT NULL,
  used  integer NOT NULL,
  CONSTRAINT unmask_budgets_pkey PRIMARY KEY (actor, day)
);

-- Single values that were shown in plain, and what for.
CREATE TABLE unmasks (
  id          uuid PRIMARY KEY,
  actor       text NOT NULL,
  customer_id uuid NOT NULL,
  contact_id  uuid,
  field       smallint NOT NULL,
  purpose     text NOT NULL,
  unmask_time timestamptz NOT NULL
);
CREATE INDEX unmasks_unmask_time_idx ON unmasks (unmask_time);

-- Signed reviews as they were signed.
CREATE TABLE access_reviews (
  quarter   text PRIMARY KEY,
  signer    text NOT NULL,
  sign_time timestamptz NOT NULL,
  report    bytea NOT NULL
);

-- What was recorded before nobody wrote down who did.
ALTER TABLE consents ADD COLUMN recorder text NOT NULL DEFAULT '';
CREATE INDEX consents_customer_id_version_idx ON consents (customer_id, version DESC);

-- Granted messages: the contact budget.
CREATE TABLE contact_reservations (
  id           uuid PRIMARY KEY,
  customer_id  uuid NOT NULL CONSTRAINT contact_reservations_customer_id_fkey REFERENCES customers,
  -- The contact who gets the message, or the customer.
  recipient_id uuid NOT NULL,
  kind         text NOT NULL,
  purpose      smallint NOT NULL,
  channel      smallint NOT NULL,
  event_id     uuid,
  sender       text NOT NULL,
  request_id   text NOT NULL,
  reserve_time timestamptz NOT NULL,
  CONSTRAINT contact_reservations_request_id_key UNIQUE (sender, request_id)
);
CREATE INDEX contact_reservations_recipient_id_idx ON contact_reservations (recipient_id, kind, reserve_time DESC);
CREATE UNIQUE INDEX contact_reservations_event_id_key ON contact_reservations (event_id, recipient_id, kind) WHERE event_id IS NOT NULL AND purpose = 1;

-- +goose Down
DROP TABLE contact_reservations, access_reviews, unmasks, unmask_budgets, file_reads, break_glasses, access_extracts,
  access_request_customers, access_requests;
DROP INDEX consents_customer_id_version_idx;
ALTER TABLE consents DROP COLUMN recorder;
