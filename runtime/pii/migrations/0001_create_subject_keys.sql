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

-- +goose Down
DROP TABLE subject_keys;
