-- +goose Up
-- What was taken in: each message of a source once, with the case it went to.
CREATE TABLE intake_messages (
  source      text NOT NULL,
  message_id  text NOT NULL,
  thread      text NOT NULL,
  ticket_id   uuid NOT NULL,
  joined      boolean NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (source, message_id),
  CONSTRAINT intake_messages_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id)
);
CREATE INDEX intake_messages_thread_idx ON intake_messages (source, thread, create_time) WHERE thread <> '';
CREATE INDEX intake_messages_ticket_id_idx ON intake_messages (ticket_id);

-- Secrets are derived from the service's own key, the id and the generation, and not kept.
CREATE TABLE connectors (
  id                uuid PRIMARY KEY,
  code              text NOT NULL,
  channel           smallint NOT NULL,
  off               boolean NOT NULL,
  secret_generation integer NOT NULL,
  previous_until    timestamptz,
  create_time       timestamptz NOT NULL,
  CONSTRAINT connectors_code_key UNIQUE (code)
);

-- +goose Down
DROP TABLE connectors, intake_messages;
