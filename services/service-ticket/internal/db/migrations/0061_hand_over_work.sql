-- +goose Up
ALTER TABLE substitutions
  -- What is in the absent one's hands when it begins goes along.
  ADD COLUMN take_over boolean NOT NULL DEFAULT false,
  ADD COLUMN take_over_time timestamptz,
  ADD CONSTRAINT substitutions_take_over_check CHECK (take_over OR take_over_time IS NULL);
CREATE INDEX substitutions_take_over_idx ON substitutions (start_time, id) WHERE take_over AND take_over_time IS NULL;

-- Who is away at a moment: by status (3 away, 5 left), or because somebody stands in.
-- +goose StatementBegin
CREATE FUNCTION away_staff(at timestamptz) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
  SELECT id FROM staff WHERE status IN (3, 5)
  UNION
  SELECT staff_id FROM substitutions WHERE start_time <= at AND end_time > at
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION away_staff;
DROP INDEX substitutions_take_over_idx;
ALTER TABLE substitutions DROP CONSTRAINT substitutions_take_over_check, DROP COLUMN take_over, DROP COLUMN take_over_time;
