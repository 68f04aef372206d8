-- +goose Up

-- The sequence of id must keep CACHE 1: ids cached by a session would be drawn before the
-- row lock of a later transaction, and the order of one thing would break.
CREATE TABLE event_outbox (
  id              bigint      GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  event_id        uuid        NOT NULL,
  position        bigint,
  type            text        NOT NULL,
  subject_id      uuid        NOT NULL,
  subject_version bigint      NOT NULL,
  customer_id     uuid,
  occur_time      timestamptz NOT NULL,
  record_time     timestamptz NOT NULL,
  actor_kind      smallint    NOT NULL,
  actor_id        text        NOT NULL,
  request_id      text        NOT NULL,
  historic        boolean     NOT NULL,
  payload         bytea
) WITH (
  -- Numbering updates each row once, soon after it came.
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 5000
);
CREATE UNIQUE INDEX event_outbox_position_key ON event_outbox (position) WHERE position IS NOT NULL;
CREATE INDEX event_outbox_unnumbered ON event_outbox (id) WHERE position IS NULL;

CREATE TABLE event_cursors (
  consumer    text        NOT NULL,
  source      text        NOT NULL,
  position    bigint      NOT NULL DEFAULT 0,
  update_time timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT event_cursors_pkey PRIMARY KEY (consumer, source)
) WITH (fillfactor = 50);

CREATE TABLE event_parked (
  consumer   text        NOT NULL,
  source     text        NOT NULL,
  subject_id text        NOT NULL,
  position   bigint      NOT NULL,
  type       text        NOT NULL,
  envelope   bytea       NOT NULL,
  tries      integer     NOT NULL,
  problem    text        NOT NULL,
  park_time  timestamptz NOT NULL,
  retry_time timestamptz NOT NULL,
  CONSTRAINT event_parked_pkey PRIMARY KEY (consumer, source, subject_id, position)
);

-- +goose Down
DROP TABLE event_parked, event_cursors, event_outbox;
