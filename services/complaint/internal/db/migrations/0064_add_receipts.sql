-- +goose Up
-- What opens the public status of a complaint: a keyed hash of its number and its secret.
CREATE TABLE complaint_secrets (
  complaint_id uuid PRIMARY KEY CONSTRAINT complaint_secrets_complaint_id_fkey REFERENCES complaints,
  hash         bytea NOT NULL CONSTRAINT complaint_secrets_hash_key UNIQUE
);

-- Who receives what came in without staff: one row.
CREATE TABLE complaint_receivers (
  id                uuid PRIMARY KEY,
  receiver_staff_id uuid,
  deputy_staff_id   uuid,
  version           bigint NOT NULL,
  update_time       timestamptz NOT NULL,
  CONSTRAINT complaint_receivers_id_check CHECK (id = '01900000-0000-7000-8000-000000000021'),
  CONSTRAINT complaint_receivers_deputy_staff_id_check
    CHECK (deputy_staff_id IS NULL OR receiver_staff_id IS NOT NULL AND deputy_staff_id <> receiver_staff_id)
);
INSERT INTO complaint_receivers VALUES ('01900000-0000-7000-8000-000000000021', NULL, NULL, 1, '2000-01-01T00:00:00Z');

ALTER TABLE complaints
  -- It came from a customer or another system and waits for whoever receives those.
  ADD COLUMN self_registered boolean NOT NULL DEFAULT false,
  -- The remedy that the customer demands; 0 where none is named.
  ADD COLUMN demanded smallint NOT NULL DEFAULT 0,
  -- The survey answer that it came from.
  ADD COLUMN survey_answer_id uuid;
UPDATE complaints SET self_registered = true WHERE registered_in IS NULL;

-- +goose Down
ALTER TABLE complaints DROP COLUMN self_registered, DROP COLUMN demanded, DROP COLUMN survey_answer_id;
DROP TABLE complaint_receivers, complaint_secrets;
