-- +goose Up
CREATE TABLE subject_keys (
    subject_id  uuid PRIMARY KEY,
    -- The subject's key, wrapped; null once it is destroyed. The row stays, so that no
    -- new key is made for someone who was erased.
    wrapped     bytea,
    -- Which wrapping key it is under.
    wrap_id     text NOT NULL,
    -- The clock and not the transaction's start: readers cache only keys that are older
    -- than any transaction can be.
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    shred_time  timestamptz,
    CONSTRAINT subject_keys_shred_check CHECK ((wrapped IS NULL) = (shred_time IS NOT NULL))
);

-- +goose StatementBegin
CREATE FUNCTION subject_keys_stay_shredded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an erased subject gets no key' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER subject_keys_stay_shredded BEFORE UPDATE ON subject_keys
    FOR EACH ROW WHEN (OLD.wrapped IS NULL) EXECUTE FUNCTION subject_keys_stay_shredded();

-- +goose StatementBegin
DO $$
DECLARE
    run text := current_setting('kefu.run_role');
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON subject_keys FROM %I', run);
    EXECUTE format('GRANT UPDATE (wrapped, wrap_id, shred_time) ON subject_keys TO %I', run);
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE subject_keys;
DROP FUNCTION subject_keys_stay_shredded();
