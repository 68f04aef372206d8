-- +goose Up
CREATE SEQUENCE warranty_policy_versions;
CREATE SEQUENCE tier_model_versions;

-- Versions of the registry's own rules: 1 the periods of cover, 2 the models of tiers. A
-- definition is the message of its kind in JSON and never changes.
CREATE TABLE rule_versions (
  id             uuid PRIMARY KEY,
  kind           smallint NOT NULL,
  version        bigint NOT NULL,
  -- 1 draft, 2 published.
  state          smallint NOT NULL,
  effective_time timestamptz,
  definition     jsonb NOT NULL,
  author         text NOT NULL,
  publisher      text,
  create_time    timestamptz NOT NULL,
  revision       bigint NOT NULL,
  CONSTRAINT rule_versions_kind_version_key UNIQUE (kind, version),
  CONSTRAINT rule_versions_kind_check CHECK (kind IN (1, 2)),
  CONSTRAINT rule_versions_state_check CHECK (state IN (1, 2)
    AND (effective_time IS NOT NULL) = (state = 2) AND (publisher IS NOT NULL) = (state = 2)),
  CONSTRAINT rule_versions_second_person_check CHECK (publisher <> author)
);
CREATE INDEX rule_versions_kind_idx ON rule_versions (kind, id DESC);
CREATE INDEX rule_versions_effective_time_idx ON rule_versions (kind, effective_time DESC, version DESC) WHERE state = 2;

INSERT INTO rule_versions (id, kind, version, state, effective_time, definition, author, publisher, create_time, revision)
VALUES
  ('01900000-0000-7000-8000-000000000020', 1, nextval('warranty_policy_versions'), 2, '1970-01-01Z',
   '{"clauses": [{"clauseId": "cover-default", "warrantyMonths": 12, "guaranteeMonths": 12}]}',
   'default', 'installation', '1970-01-01Z', 1),
  ('01900000-0000-7000-8000-000000000021', 2, nextval('tier_model_versions'), 2, '1970-01-01Z',
   '{"weights": {"scale": 0.35, "length": 0.15, "profit": 0.3, "growth": 0.2}, "limits": {"key": 85, "a": 70, "b": 40},
     "currencyCode": "CNY", "plans": [
       {"tier": "TIER_KEY", "managerLoad": 10, "visits": 12, "giftBudget": {"currencyCode": "CNY", "units": "2000"}, "trainingSeats": 10},
       {"tier": "TIER_A", "managerLoad": 30, "visits": 6, "giftBudget": {"currencyCode": "CNY", "units": "800"}, "trainingSeats": 4},
       {"tier": "TIER_B", "managerLoad": 100, "visits": 2, "giftBudget": {"currencyCode": "CNY", "units": "200"}, "trainingSeats": 2},
       {"tier": "TIER_C", "managerLoad": 500, "visits": 0, "trainingSeats": 0}]}',
   'default', 'installation', '1970-01-01Z', 1);

-- +goose StatementBegin
CREATE FUNCTION keep_published_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 2 OR NEW.definition <> OLD.definition THEN
    RAISE EXCEPTION 'a version of a rule never changes' USING ERRCODE = 'restrict_violation', TABLE = 'rule_versions',
      CONSTRAINT = 'rule_versions_published_check';
  END IF;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER rule_versions_published BEFORE UPDATE ON rule_versions
  FOR EACH ROW EXECUTE FUNCTION keep_published_rules();

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE DELETE, TRUNCATE ON rule_versions FROM %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE rule_versions;
DROP FUNCTION keep_published_rules;
DROP SEQUENCE warranty_policy_versions, tier_model_versions;
