-- +goose Up
-- Complaints whose result was told and not answered. A row goes with the answer, or with the
-- end of the complaint.
CREATE TABLE complaint_silences (
  complaint_id uuid PRIMARY KEY CONSTRAINT complaint_silences_complaint_id_fkey REFERENCES complaints,
  tell_time    timestamptz NOT NULL,
  -- Which reminder is next, from 1; after the last one the end.
  step         integer NOT NULL,
  due_time     timestamptz NOT NULL
);
CREATE INDEX complaint_silences_due_time_idx ON complaint_silences (due_time);
-- When the next reminder is due is computed when this one is looked at.
INSERT INTO complaint_silences
SELECT c.id, r.tell_time, 1, r.tell_time FROM complaints c JOIN complaint_rounds r ON r.complaint_id = c.id AND r.number = c.round
WHERE c.state = 8 AND r.satisfaction = 0 AND r.tell_time IS NOT NULL;

-- Messages to customers, and when they left.
CREATE TABLE complaint_notices (
  id           uuid PRIMARY KEY,
  complaint_id uuid NOT NULL CONSTRAINT complaint_notices_complaint_id_fkey REFERENCES complaints,
  round        integer NOT NULL,
  -- Which reminder of the round.
  number       integer NOT NULL,
  create_time  timestamptz NOT NULL,
  send_time    timestamptz,
  CONSTRAINT complaint_notices_complaint_id_round_number_key UNIQUE (complaint_id, round, number)
);
CREATE INDEX complaint_notices_id_idx ON complaint_notices (id) WHERE send_time IS NULL;

-- +goose Down
DROP TABLE complaint_notices, complaint_silences;
