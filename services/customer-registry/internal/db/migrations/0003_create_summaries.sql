-- +goose Up
-- One line a customer, kept by the write path and by the events of the other
-- services: the listing reads this table alone.
CREATE TABLE customer_summaries (
  customer_id       uuid PRIMARY KEY CONSTRAINT customer_summaries_customer_id_fkey REFERENCES customers,
  number            text NOT NULL,
  name              text NOT NULL,
  kind              smallint NOT NULL,
  region            text NOT NULL,
  tier              smallint NOT NULL,
  owner_staff_id    uuid,
  status            smallint NOT NULL,
  last_contact_time timestamptz,
  open_tickets      integer NOT NULL DEFAULT 0,
  open_complaints   integer NOT NULL DEFAULT 0,
  orders            integer NOT NULL DEFAULT 0,
  score_sum         bigint NOT NULL DEFAULT 0,
  scores            integer NOT NULL DEFAULT 0,
  -- The name folded for search (NFKC, lower case), and its unigrams and bigrams.
  folded            text NOT NULL,
  grams             text[] NOT NULL
);
CREATE INDEX customer_summaries_grams_idx ON customer_summaries USING gin (owner_staff_id, grams) WITH (fastupdate = off);
CREATE INDEX customer_summaries_tier_idx ON customer_summaries (tier, customer_id DESC);
CREATE INDEX customer_summaries_status_idx ON customer_summaries (status, customer_id DESC);
CREATE INDEX customer_summaries_region_idx ON customer_summaries (region, customer_id DESC);
CREATE INDEX customer_summaries_owner_staff_id_idx ON customer_summaries (owner_staff_id, customer_id DESC);

-- What happened, one row an event, with the event's id. customer_id is empty
-- while the thing has no customer, and follows it when it gets another one.
CREATE TABLE timeline (
  id          uuid PRIMARY KEY,
  customer_id uuid,
  occur_time  timestamptz NOT NULL,
  type        text NOT NULL,
  subject_id  uuid NOT NULL,
  number      text NOT NULL,
  state       text NOT NULL,
  score       smallint NOT NULL,
  contact     boolean NOT NULL,
  historic    boolean NOT NULL
);
CREATE INDEX timeline_subject_id_idx ON timeline (subject_id);
CREATE INDEX timeline_customer_id_idx ON timeline (customer_id, occur_time DESC, id DESC);
CREATE INDEX timeline_contact_idx ON timeline (customer_id, occur_time DESC) WHERE contact;
CREATE INDEX timeline_score_idx ON timeline (customer_id) INCLUDE (score) WHERE score > 0;

-- The newest known customer and state of each ticket, complaint and answer, so
-- that counts are counted and never drift.
CREATE TABLE cases (
  subject_id  uuid PRIMARY KEY,
  kind        smallint NOT NULL,
  customer_id uuid,
  open        boolean NOT NULL,
  version     bigint NOT NULL
);
CREATE INDEX cases_open_idx ON cases (customer_id, kind) WHERE open;

-- +goose Down
DROP TABLE cases, timeline, customer_summaries;
