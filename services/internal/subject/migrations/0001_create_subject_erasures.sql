-- +goose Up
-- The parts of erasures that were done here. A database restored from before one does not
-- have it, and the erasure list makes it be done again.
CREATE TABLE subject_erasures (
  erasure_id uuid NOT NULL,
  cursor     text NOT NULL,
  erase_time timestamptz NOT NULL,
  CONSTRAINT subject_erasures_pkey PRIMARY KEY (erasure_id, cursor)
);

-- +goose Down
DROP TABLE subject_erasures;
