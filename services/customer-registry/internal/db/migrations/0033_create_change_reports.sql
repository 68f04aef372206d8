-- +goose Up
CREATE TABLE change_reports (
  id            uuid PRIMARY KEY,
  customer_id   uuid NOT NULL CONSTRAINT change_reports_customer_id_fkey REFERENCES customers,
  -- kefu.customer.v1.ChangeReport: what is proposed and how it became known, encrypted under
  -- the customer's key.
  proposal      bytea NOT NULL,
  source        smallint NOT NULL,
  state         smallint NOT NULL,
  actor         text NOT NULL,
  create_time   timestamptz NOT NULL,
  decider       text,
  decide_time   timestamptz,
  refuse_reason text NOT NULL DEFAULT '',
  version       bigint NOT NULL,
  CONSTRAINT change_reports_decider_check CHECK ((state = 1) = (decider IS NULL) AND (state = 1) = (decide_time IS NULL)),
  -- Whatever path a decision came by.
  CONSTRAINT change_reports_second_person_check CHECK (decider <> actor)
);
CREATE INDEX change_reports_actor_idx ON change_reports (actor, id);
CREATE INDEX change_reports_customer_id_idx ON change_reports (customer_id, id);
CREATE INDEX change_reports_open_idx ON change_reports (id) WHERE state = 1;

-- +goose Down
DROP TABLE change_reports;
