-- +goose Up
-- How good each file is, scored after every change and when time alone changes it. It is all
-- derived and can be made again.
CREATE TABLE customer_quality (
  customer_id          uuid PRIMARY KEY CONSTRAINT customer_quality_customer_id_fkey REFERENCES customers,
  -- Whether the file is in use; who keeps it.
  active               boolean NOT NULL DEFAULT false,
  responsible_staff_id uuid,
  completeness         smallint NOT NULL DEFAULT 0,
  accuracy             smallint NOT NULL DEFAULT 0,
  timeliness           smallint NOT NULL DEFAULT 0,
  overall              smallint NOT NULL DEFAULT 0,
  -- kefu.customer.v1.CustomerQuality, the reasons alone.
  reasons              bytea NOT NULL DEFAULT '',
  -- 0 until it was scored.
  definition           smallint NOT NULL DEFAULT 0,
  score_time           timestamptz NOT NULL DEFAULT 'epoch',
  -- When it is to be scored again; null while time changes nothing.
  rescore_time         timestamptz DEFAULT 'epoch'
) WITH (fillfactor = 85);
CREATE INDEX customer_quality_rescore_time_idx ON customer_quality (rescore_time) WHERE rescore_time IS NOT NULL;
CREATE INDEX customer_quality_overall_idx ON customer_quality (overall, customer_id) WHERE active;
CREATE INDEX customer_quality_responsible_staff_id_idx ON customer_quality (responsible_staff_id, overall, customer_id)
  WHERE active AND responsible_staff_id IS NOT NULL;
INSERT INTO customer_quality (customer_id) SELECT id FROM customers;

-- By triggers, so that no path by which files and contacts are written is forgotten.
-- +goose StatementBegin
CREATE FUNCTION enter_quality() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO customer_quality (customer_id) SELECT id FROM made;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION renew_quality() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'customers' THEN
    UPDATE customer_quality q SET rescore_time = 'epoch' FROM made WHERE q.customer_id = made.id;
  ELSE
    UPDATE customer_quality q SET rescore_time = 'epoch' FROM (SELECT DISTINCT customer_id FROM made) of
    WHERE q.customer_id = of.customer_id;
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER customers_enter_quality AFTER INSERT ON customers
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION enter_quality();
CREATE TRIGGER customers_renew_quality AFTER UPDATE ON customers
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION renew_quality();
CREATE TRIGGER contacts_enter_quality AFTER INSERT ON contacts
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION renew_quality();
CREATE TRIGGER contacts_renew_quality AFTER UPDATE ON contacts
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION renew_quality();

-- How good all files were, a row a month; that of the running month is renewed.
CREATE TABLE quality_snapshots (
  month        text PRIMARY KEY,
  files        bigint NOT NULL,
  completeness double precision NOT NULL,
  accuracy     double precision NOT NULL,
  timeliness   double precision NOT NULL,
  overall      double precision NOT NULL,
  definition   smallint NOT NULL,
  create_time  timestamptz NOT NULL
);

-- +goose Down
DROP TRIGGER contacts_renew_quality ON contacts;
DROP TRIGGER contacts_enter_quality ON contacts;
DROP TRIGGER customers_renew_quality ON customers;
DROP TRIGGER customers_enter_quality ON customers;
DROP FUNCTION renew_quality, enter_quality;
DROP TABLE quality_snapshots, customer_quality;
