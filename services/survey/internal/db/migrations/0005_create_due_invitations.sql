-- +goose Up
-- Invitations that an event has caused and for which the registry has not answered yet
-- whether they may be sent: a consumer's transaction must not wait for another service.
CREATE TABLE due_invitations (
  event_id              uuid PRIMARY KEY,
  event_type            text NOT NULL,
  request_id            text NOT NULL,
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  customer_id           uuid NOT NULL CONSTRAINT due_invitations_customer_id_fkey REFERENCES customer_refs,
  ticket_id             uuid,
  complaint_id          uuid,
  round                 integer NOT NULL,
  language              text NOT NULL,
  next_time             timestamptz NOT NULL
);
CREATE UNIQUE INDEX due_invitations_ticket_id_round_key ON due_invitations (ticket_id, round) WHERE ticket_id IS NOT NULL;
CREATE UNIQUE INDEX due_invitations_complaint_id_round_key ON due_invitations (complaint_id, round) WHERE complaint_id IS NOT NULL;
CREATE INDEX due_invitations_next_time_idx ON due_invitations (next_time);

ALTER TABLE invitations ADD COLUMN held_back smallint,
  ADD CONSTRAINT invitations_held_back_check CHECK ((state = 5) = (held_back IS NOT NULL));

-- +goose Down
ALTER TABLE invitations DROP COLUMN held_back;
DROP TABLE due_invitations;
