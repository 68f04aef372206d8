-- +goose Up
-- The few keys that the master key wraps: those that wrap subject keys, one a version of
-- the master key, and under the id `root` the secret that MACs, blind indexes and other
-- keys are derived from. The master key is asked only for these, never for a person.
CREATE TABLE service_keys (
    -- What subject_keys.wrap_id names.
    id          text PRIMARY KEY,
    -- Orders the wrapping keys: the newest wraps. 0 for the root.
    generation  bigint NOT NULL,
    wrapped     bytea NOT NULL,
    -- The version of the master key that it is under.
    master_id   text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How far the subject keys under it have been wrapped anew.
    cursor      uuid,
    -- When none was under it any more. It goes after the longest transaction.
    retire_time timestamptz,
    CONSTRAINT service_keys_generation_key UNIQUE (generation)
);

-- A database that was used before there were service keys: the first ones are those that
-- were derived from the key file.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('audit_records') IS NOT NULL THEN
        INSERT INTO service_keys (id, generation, wrapped, master_id) VALUES ('before', -1, '', '');
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE service_keys;
