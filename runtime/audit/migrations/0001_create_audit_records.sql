-- +goose Up
CREATE TABLE audit_records (
  id             uuid        PRIMARY KEY,
  time           timestamptz NOT NULL,
  actor          text        NOT NULL,
  actor_kind     smallint    NOT NULL,
  action         text        NOT NULL,
  object_type    text        NOT NULL,
  object_id      uuid        NOT NULL,
  access_right   text        NOT NULL,
  changes_hash   bytea       NOT NULL,
  request_id     text        NOT NULL,
  cause_event_id uuid,
  mac            bytea       NOT NULL
);

CREATE TABLE audit_chain (
  position bigint PRIMARY KEY,
  audit_id uuid   NOT NULL CONSTRAINT audit_chain_audit_id_key UNIQUE,
  previous bytea  NOT NULL,
  hash     bytea  NOT NULL
);

-- The records that wait for their link. It is a queue beside the records, because the
-- run role may not change a record, and a search for records without a link would grow
-- with their number. It has no index: it is short, and every index would be paid by
-- every write.
CREATE TABLE audit_pending (
  audit_id uuid NOT NULL
) WITH (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 1000
);

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit_records, audit_chain FROM %I',
                 current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_pending, audit_chain, audit_records;
