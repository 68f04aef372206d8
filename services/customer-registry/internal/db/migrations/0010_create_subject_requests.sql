-- +goose Up
-- Of an erased customer the row stays, without the person: what law requires hangs on it.
ALTER TABLE customers ADD COLUMN erase_time timestamptz;

CREATE TABLE subject_requests (
  id                   uuid PRIMARY KEY,
  kind                 smallint NOT NULL,
  customer_id          uuid NOT NULL CONSTRAINT subject_requests_customer_id_fkey REFERENCES customers,
  contact_id           uuid,
  purpose              text NOT NULL,
  -- What is right, encrypted under the person's key.
  correction           bytea,
  state                smallint NOT NULL,
  requester            text NOT NULL,
  decider              text,
  decide_time          timestamptz,
  note                 text NOT NULL,
  -- Which service is to be asked next, and how far it has come.
  step                 integer NOT NULL,
  cursor               text NOT NULL,
  -- What each service did: kefu.customer.v1.SubjectRequest with steps alone.
  receipt              bytea NOT NULL,
  -- When a process may take the next step; one that takes it moves this on first, so that
  -- another takes over only from a process that is gone.
  next_time            timestamptz,
  done_time            timestamptz,
  document_expire_time timestamptz,
  create_time          timestamptz NOT NULL,
  version              bigint NOT NULL,
  CONSTRAINT subject_requests_decider_check CHECK (decider <> requester),
  CONSTRAINT subject_requests_next_time_check CHECK ((state = 2) = (next_time IS NOT NULL))
);
CREATE INDEX subject_requests_customer_id_idx ON subject_requests (customer_id, id DESC);
CREATE INDEX subject_requests_next_time_idx ON subject_requests (next_time) WHERE next_time IS NOT NULL;
CREATE INDEX subject_requests_document_idx ON subject_requests (document_expire_time) WHERE document_expire_time IS NOT NULL;
-- One at a time: a second erasure of the same person would only run after the first.
CREATE UNIQUE INDEX subject_requests_open_key ON subject_requests (customer_id, kind, coalesce(contact_id, customer_id)) WHERE state IN (1, 2);

-- The records of an export, a JSON array a part, encrypted under the person's key.
CREATE TABLE subject_documents (
  request_id uuid NOT NULL CONSTRAINT subject_documents_request_id_fkey REFERENCES subject_requests,
  service    text NOT NULL,
  part       integer NOT NULL,
  body       bytea NOT NULL,
  CONSTRAINT subject_documents_pkey PRIMARY KEY (request_id, service, part)
);

CREATE TABLE legal_holds (
  id          uuid PRIMARY KEY,
  customer_id uuid NOT NULL CONSTRAINT legal_holds_customer_id_fkey REFERENCES customers,
  reason      text NOT NULL,
  actor       text NOT NULL,
  create_time timestamptz NOT NULL,
  lift_time   timestamptz,
  version     bigint NOT NULL
);
CREATE INDEX legal_holds_customer_id_idx ON legal_holds (customer_id) WHERE lift_time IS NULL;

-- What is held on a person is found by customer.
CREATE INDEX IF NOT EXISTS customers_merged_into_idx ON customers (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX file_reads_customer_id_idx ON file_reads (customer_id);
CREATE INDEX unmasks_customer_id_idx ON unmasks (customer_id);
CREATE INDEX cases_customer_id_idx ON cases (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX contact_reservations_customer_id_idx ON contact_reservations (customer_id);

-- +goose Down
DROP INDEX contact_reservations_customer_id_idx, cases_customer_id_idx, unmasks_customer_id_idx, file_reads_customer_id_idx;
DROP TABLE legal_holds, subject_documents, subject_requests;
ALTER TABLE customers DROP COLUMN erase_time;
