-- +goose Up
-- The records of what was only read, until the sequencer's pass files them among the others
-- together with their links. One insert without an index is what such a record adds to a read.
CREATE TABLE audit_reads (
  LIKE audit_records
) WITH (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 1000
);

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, TRUNCATE ON audit_reads FROM %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
WITH filed AS (
  INSERT INTO audit_records SELECT * FROM audit_reads RETURNING id
)
INSERT INTO audit_pending (audit_id) SELECT id FROM filed;
DROP TABLE audit_reads;
