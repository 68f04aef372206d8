-- +goose Up
CREATE SEQUENCE clock_policy_versions;

CREATE TABLE clock_policies (
  id             uuid PRIMARY KEY,
  version        bigint NOT NULL,
  -- 1 draft, 2 published; retired is what a later one has taken the place of.
  state          smallint NOT NULL,
  effective_time timestamptz,
  definition     bytea NOT NULL,
  create_time    timestamptz NOT NULL,
  update_time    timestamptz NOT NULL,
  revision       bigint NOT NULL,
  CONSTRAINT clock_policies_version_key UNIQUE (version),
  CONSTRAINT clock_policies_state_check CHECK (state IN (1, 2) AND (effective_time IS NOT NULL) = (state = 2))
);
CREATE INDEX clock_policies_effective_time_idx ON clock_policies (effective_time, version) WHERE state = 2;

-- The version that a case beginning at an instant comes under; 0 where none is published.
-- +goose StatementBegin
CREATE FUNCTION policy_in_effect(at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT COALESCE((
    SELECT version FROM clock_policies WHERE state = 2 AND effective_time <= at
    ORDER BY effective_time DESC, version DESC LIMIT 1
  ), 0)
$$;
-- +goose StatementEnd

-- Cases keep the version they began under, so it must stay what it was.
-- +goose StatementBegin
CREATE FUNCTION keep_published_policies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 2 THEN
    RAISE EXCEPTION 'a published policy never changes' USING ERRCODE = 'restrict_violation', TABLE = 'clock_policies',
      CONSTRAINT = 'clock_policies_published_check';
  END IF;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER clock_policies_published BEFORE UPDATE ON clock_policies
  FOR EACH ROW EXECUTE FUNCTION keep_published_policies();

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE DELETE, TRUNCATE ON clock_policies FROM %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION policy_in_effect;
DROP TABLE clock_policies;
DROP FUNCTION keep_published_policies;
DROP SEQUENCE clock_policy_versions;
