-- +goose Up
CREATE TABLE ticket_contacts (
  id           uuid PRIMARY KEY,
  ticket_id    uuid NOT NULL,
  round        integer NOT NULL,
  -- Version of the ticket that logged it.
  version      bigint NOT NULL,
  channel      smallint NOT NULL,
  two_way      boolean NOT NULL,
  note         text NOT NULL,
  contact_time timestamptz NOT NULL,
  staff_id     uuid,
  CONSTRAINT ticket_contacts_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT ticket_contacts_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id),
  CONSTRAINT ticket_contacts_ticket_id_version_key UNIQUE (ticket_id, version)
);
CREATE INDEX ticket_contacts_ticket_id_idx ON ticket_contacts (ticket_id, id);

-- The version of the policy that the ticket's clocks go by; 0 for a ticket without clocks.
-- All clocks so far go by the built-in version 1.
ALTER TABLE tickets ADD COLUMN policy_version bigint NOT NULL DEFAULT 0;
UPDATE tickets SET policy_version = 1 WHERE service_tier <> 0;

-- Whom a ticket waits for from this move on; 0 for a move that does not wait. A dry run
-- replays a history by policies that pause for other reasons than the present one. Of
-- earlier moves the clocks tell which waited for the customer.
ALTER TABLE ticket_transitions ADD COLUMN wait_for smallint NOT NULL DEFAULT 0;
UPDATE ticket_transitions t SET wait_for = CASE WHEN EXISTS (
    SELECT FROM clocks c JOIN clock_log l ON l.clock_id = c.id
    WHERE c.subject_id = t.ticket_id AND l.reason = 'waiting-customer' AND l.occur_time = t.occur_time
  ) THEN 1 ELSE 2 END
WHERE t.verb = 'wait';

-- +goose Down
ALTER TABLE ticket_transitions DROP COLUMN wait_for;
ALTER TABLE tickets DROP COLUMN policy_version;
DROP TABLE ticket_contacts;
