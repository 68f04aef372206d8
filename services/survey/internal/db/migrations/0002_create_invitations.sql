-- +goose Up
-- Invitations and answers name a published version without a foreign key: a version can be
-- neither changed nor deleted, and the key's row lock would be shared by all who answer.
CREATE TABLE invitations (
  id                    uuid PRIMARY KEY,
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  customer_id           uuid NOT NULL CONSTRAINT invitations_customer_id_fkey REFERENCES customer_refs,
  state                 smallint NOT NULL,
  ticket_id             uuid,
  complaint_id          uuid,
  round                 integer NOT NULL,
  language              text NOT NULL,
  expire_time           timestamptz NOT NULL,
  -- Keyed hash of the present link's token; without one there is no link yet.
  link_hash             bytea,
  create_actor          text NOT NULL,
  create_time           timestamptz NOT NULL,
  -- Who ended it, when and why; for answered ones the answer.
  end_actor             text,
  end_time              timestamptz,
  end_reason            text,
  answer_id             uuid,
  version               bigint NOT NULL,
  CONSTRAINT invitations_cause_check CHECK (ticket_id IS NULL OR complaint_id IS NULL),
  CONSTRAINT invitations_answer_id_check CHECK ((state = 2) = (answer_id IS NOT NULL)),
  CONSTRAINT invitations_end_time_check CHECK ((state = 1) = (end_time IS NULL))
);
CREATE UNIQUE INDEX invitations_link_hash_key ON invitations (link_hash) WHERE link_hash IS NOT NULL;
-- One invitation a ticket or complaint and round, however often its event comes.
CREATE UNIQUE INDEX invitations_ticket_id_round_key ON invitations (ticket_id, round) WHERE ticket_id IS NOT NULL;
CREATE UNIQUE INDEX invitations_complaint_id_round_key ON invitations (complaint_id, round) WHERE complaint_id IS NOT NULL;
CREATE INDEX invitations_customer_id_idx ON invitations (customer_id, id DESC);
CREATE INDEX invitations_state_idx ON invitations (state, id DESC);
CREATE INDEX invitations_expire_time_idx ON invitations (expire_time) WHERE state = 1;

-- +goose Down
DROP TABLE invitations;
