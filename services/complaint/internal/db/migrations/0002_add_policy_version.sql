-- +goose Up
-- The version of the policy that the complaint's clocks go by; 0 for one without clocks. All
-- clocks so far go by the built-in version 1.
ALTER TABLE complaints ADD COLUMN policy_version bigint NOT NULL DEFAULT 0;
UPDATE complaints SET policy_version = 1 WHERE source IS NULL;

-- +goose Down
ALTER TABLE complaints DROP COLUMN policy_version;
