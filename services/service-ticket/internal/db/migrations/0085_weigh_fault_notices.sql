-- +goose Up
-- 0: not given. A notice with both may have no priority: 0, and its tickets find theirs.
ALTER TABLE fault_notices
  ADD COLUMN urgency smallint NOT NULL DEFAULT 0,
  ADD COLUMN impact smallint NOT NULL DEFAULT 0;

-- +goose Down
UPDATE fault_notices SET priority = 3 WHERE priority = 0;
ALTER TABLE fault_notices DROP COLUMN urgency, DROP COLUMN impact;
