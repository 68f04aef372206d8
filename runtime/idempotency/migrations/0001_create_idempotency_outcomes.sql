-- +goose Up
CREATE TABLE idempotency_outcomes (
  caller           text        COLLATE "C" NOT NULL,
  method           text        COLLATE "C" NOT NULL,
  request_id       text        COLLATE "C" NOT NULL,
  body_hash        bytea       NOT NULL,
  resource_id      uuid,
  resource_version bigint,
  response         bytea       NOT NULL,
  create_time      timestamptz NOT NULL,
  CONSTRAINT idempotency_outcomes_pkey PRIMARY KEY (request_id, caller, method)
);
CREATE INDEX idempotency_outcomes_create_time ON idempotency_outcomes (create_time);

-- +goose Down
DROP TABLE idempotency_outcomes;
