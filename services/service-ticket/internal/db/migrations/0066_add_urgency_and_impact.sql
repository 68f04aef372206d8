-- +goose Up
-- How soon and how much: 1 high to 3 low, 0 where nobody told. priority_source is what the
-- priority rests on: 0 not kept, 1 default, 2 given, 3 a rule, 4 the matrix.
ALTER TABLE tickets
  ADD COLUMN urgency smallint NOT NULL DEFAULT 0,
  ADD COLUMN impact smallint NOT NULL DEFAULT 0,
  ADD COLUMN priority_source smallint NOT NULL DEFAULT 0;

-- As they stand after the move; 0 in moves from before they were kept.
ALTER TABLE ticket_transitions
  ADD COLUMN priority smallint NOT NULL DEFAULT 0,
  ADD COLUMN priority_source smallint NOT NULL DEFAULT 0,
  ADD COLUMN urgency smallint NOT NULL DEFAULT 0,
  ADD COLUMN impact smallint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE ticket_transitions DROP COLUMN priority, DROP COLUMN priority_source, DROP COLUMN urgency, DROP COLUMN impact;
ALTER TABLE tickets DROP COLUMN urgency, DROP COLUMN impact, DROP COLUMN priority_source;
