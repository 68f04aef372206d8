-- +goose Up
-- What an event of a delivery asks about: the order, or with the first delivery the customer.
ALTER TABLE due_invitations ADD COLUMN cause_trigger smallint, ADD COLUMN cause_id uuid,
  ADD CONSTRAINT due_invitations_cause_id_check CHECK ((cause_trigger IS NULL) = (cause_id IS NULL));
CREATE UNIQUE INDEX due_invitations_cause_key ON due_invitations (cause_trigger, cause_id) WHERE cause_id IS NOT NULL;
ALTER TABLE invitations ADD COLUMN cause_trigger smallint, ADD COLUMN cause_id uuid,
  ADD CONSTRAINT invitations_cause_id_check CHECK ((cause_trigger IS NULL) = (cause_id IS NULL));
CREATE UNIQUE INDEX invitations_cause_key ON invitations (cause_trigger, cause_id) WHERE cause_id IS NOT NULL;

-- The first delivery that was heard of: a customer is new once.
CREATE TABLE first_deliveries (
  customer_id   uuid PRIMARY KEY,
  order_id      uuid NOT NULL,
  delivery_time timestamptz NOT NULL
);

-- Tickets that low answers opened, as their events tell.
CREATE TABLE follow_ups (
  ticket_id    uuid PRIMARY KEY,
  answer_id    uuid NOT NULL,
  number       text NOT NULL,
  state        smallint NOT NULL,
  open_time    timestamptz,
  resolve_time timestamptz,
  version      bigint NOT NULL
);
CREATE INDEX follow_ups_answer_id_idx ON follow_ups (answer_id, ticket_id);
CREATE INDEX answers_ticket_id_idx ON answers (ticket_id) WHERE ticket_id IS NOT NULL;

-- +goose Down
DROP INDEX answers_ticket_id_idx;
DROP TABLE follow_ups, first_deliveries;
ALTER TABLE invitations DROP COLUMN cause_id, DROP COLUMN cause_trigger;
ALTER TABLE due_invitations DROP COLUMN cause_id, DROP COLUMN cause_trigger;
