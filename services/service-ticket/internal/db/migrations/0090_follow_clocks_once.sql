-- +goose Up
-- All clocks of a new ticket come by one statement, so the due time is looked after once for it
-- and not for each of them.
-- +goose StatementBegin
CREATE FUNCTION follow_new_clocks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  of uuid;
BEGIN
  FOR of IN SELECT DISTINCT subject_id FROM added WHERE subject_type = 'ticket' LOOP
    UPDATE tickets SET due_time = soonest.due_time
    FROM (SELECT min(c.due_time) AS due_time FROM clocks c WHERE c.subject_id = of AND c.stop_time IS NULL) soonest
    WHERE tickets.id = of AND tickets.due_time IS DISTINCT FROM soonest.due_time;
  END LOOP;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
DROP TRIGGER clocks_insert_trigger ON clocks;
CREATE TRIGGER clocks_insert_trigger AFTER INSERT ON clocks
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION follow_new_clocks();

-- +goose Down
DROP TRIGGER clocks_insert_trigger ON clocks;
CREATE TRIGGER clocks_insert_trigger AFTER INSERT ON clocks
  FOR EACH ROW WHEN (NEW.subject_type = 'ticket') EXECUTE FUNCTION follow_clock();
DROP FUNCTION follow_new_clocks;
