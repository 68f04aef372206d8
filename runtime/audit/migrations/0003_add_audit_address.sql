-- +goose Up
-- From where the caller acted; the MAC of a record that has one covers it. Nothing leaves the
-- trail again, so it holds the networks of customers and unknown callers, not their addresses.
ALTER TABLE audit_records ADD COLUMN address inet;
ALTER TABLE audit_search ADD COLUMN address inet;
CREATE INDEX audit_search_address_idx ON audit_search (address, time, position) WHERE address IS NOT NULL;

-- A replica of the release before enters records without this column: its rows get the default,
-- and the trigger puts there what the record says. Rows that name the column cost no trigger.
ALTER TABLE audit_search ALTER COLUMN address SET DEFAULT '0.0.0.0';
-- +goose StatementBegin
CREATE FUNCTION fill_audit_search_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT address INTO NEW.address FROM audit_records WHERE id = NEW.audit_id;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_search_address_trigger BEFORE INSERT ON audit_search
  FOR EACH ROW WHEN (NEW.address = '0.0.0.0') EXECUTE FUNCTION fill_audit_search_address();

-- +goose Down
DROP TRIGGER audit_search_address_trigger ON audit_search;
DROP FUNCTION fill_audit_search_address;
ALTER TABLE audit_search DROP COLUMN address;
ALTER TABLE audit_records DROP COLUMN address;
