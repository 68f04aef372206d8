-- +goose Up
CREATE TABLE customer_imports (
  id          uuid PRIMARY KEY,
  source      text NOT NULL,
  -- The message that made it, in JSON: columns and how the file is read.
  definition  jsonb NOT NULL,
  on_existing smallint NOT NULL,
  dry_run     boolean NOT NULL,
  -- 1 uploading, 2 running, 3 checked, 4 done, 5 failed, 6 cancelled.
  state       smallint NOT NULL,
  received    bigint NOT NULL DEFAULT 0,
  done_bytes  bigint NOT NULL DEFAULT 0,
  rows        bigint NOT NULL DEFAULT 0,
  created     bigint NOT NULL DEFAULT 0,
  updated     bigint NOT NULL DEFAULT 0,
  existing    bigint NOT NULL DEFAULT 0,
  reviews     bigint NOT NULL DEFAULT 0,
  refused     bigint NOT NULL DEFAULT 0,
  faults      bigint NOT NULL DEFAULT 0,
  failure_zh  text NOT NULL DEFAULT '',
  failure_en  text NOT NULL DEFAULT '',
  author      text NOT NULL,
  create_time timestamptz NOT NULL,
  end_time    timestamptz,
  -- When what is kept of the file is deleted; empty once it was.
  keep_until  timestamptz,
  revision    bigint NOT NULL,
  CONSTRAINT customer_imports_state_check CHECK (state BETWEEN 1 AND 6 AND (end_time IS NOT NULL) = (state IN (4, 5, 6)))
);
CREATE INDEX customer_imports_running_idx ON customer_imports (id) WHERE state = 2;
CREATE INDEX customer_imports_keep_until_idx ON customer_imports (keep_until) WHERE keep_until IS NOT NULL;

-- The file in parts, each encrypted under the import's own key.
CREATE TABLE customer_import_parts (
  import_id uuid NOT NULL CONSTRAINT customer_import_parts_import_id_fkey REFERENCES customer_imports,
  at        bigint NOT NULL,
  sealed    bytea NOT NULL,
  CONSTRAINT customer_import_parts_pkey PRIMARY KEY (import_id, at)
);
-- What is encrypted does not get smaller.
ALTER TABLE customer_import_parts ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Faults of rows, encrypted under the import's key, for they repeat what stands in a cell.
CREATE TABLE customer_import_errors (
  import_id uuid NOT NULL CONSTRAINT customer_import_errors_import_id_fkey REFERENCES customer_imports,
  line      bigint NOT NULL,
  position  integer NOT NULL,
  sealed    bytea NOT NULL,
  CONSTRAINT customer_import_errors_pkey PRIMARY KEY (import_id, line, position)
);

-- Rows that wait for a decision, encrypted under the key of the customer they are about.
CREATE TABLE customer_import_reviews (
  import_id   uuid NOT NULL CONSTRAINT customer_import_reviews_import_id_fkey REFERENCES customer_imports,
  line        bigint NOT NULL,
  customer_id uuid NOT NULL CONSTRAINT customer_import_reviews_customer_id_fkey REFERENCES customers,
  external_id text NOT NULL,
  fields      text[] NOT NULL,
  sealed      bytea NOT NULL,
  -- 1 open, 2 accepted, 3 dismissed.
  state       smallint NOT NULL,
  decider     text,
  CONSTRAINT customer_import_reviews_pkey PRIMARY KEY (import_id, line),
  CONSTRAINT customer_import_reviews_state_check CHECK (state BETWEEN 1 AND 3 AND (decider IS NOT NULL) = (state > 1))
);

-- +goose Down
DROP TABLE customer_import_reviews, customer_import_errors, customer_import_parts, customer_imports;
