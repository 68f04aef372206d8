-- +goose Up
-- Whether anybody ever asked for the file or broke glass for it, whatever came of that: where
-- nobody did, nobody has a grant, and a read is spared the look for one. The database sets it by
-- itself, whoever writes; it is never taken back, and no change of the file that has a version.
ALTER TABLE customers ADD COLUMN asked_for boolean NOT NULL DEFAULT false;
-- +goose StatementBegin
CREATE FUNCTION mark_asked_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE customers SET asked_for = true WHERE id = NEW.customer_id AND NOT asked_for;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
DROP TRIGGER customers_renew_quality ON customers;
-- The triggers come first: nobody writes between them and the marks of what was there before.
CREATE TRIGGER access_request_customers_mark_asked AFTER INSERT OR UPDATE OF customer_id ON access_request_customers
  FOR EACH ROW EXECUTE FUNCTION mark_asked_file();
CREATE TRIGGER break_glasses_mark_asked AFTER INSERT OR UPDATE OF customer_id ON break_glasses
  FOR EACH ROW EXECUTE FUNCTION mark_asked_file();
UPDATE customers SET asked_for = true
WHERE id IN (SELECT customer_id FROM access_request_customers UNION SELECT customer_id FROM break_glasses);
-- A mark, set by a trigger, says nothing about how good a file is, and waits for no score.
CREATE TRIGGER customers_renew_quality AFTER UPDATE ON customers
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION renew_quality();

-- +goose Down
DROP TRIGGER break_glasses_mark_asked ON break_glasses;
DROP TRIGGER access_request_customers_mark_asked ON access_request_customers;
DROP FUNCTION mark_asked_file;
DROP TRIGGER customers_renew_quality ON customers;
CREATE TRIGGER customers_renew_quality AFTER UPDATE ON customers
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION renew_quality();
ALTER TABLE customers DROP COLUMN asked_for;
