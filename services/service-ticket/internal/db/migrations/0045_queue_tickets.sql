-- +goose Up
ALTER TABLE tickets
  -- What whoever takes the ticket must be able to: the language, then the skills in their
  -- order, one a line; '' for nothing.
  ADD COLUMN needs text NOT NULL DEFAULT '',
  -- The soonest due time of its open clocks; null where none runs.
  ADD COLUMN due_time timestamptz,
  -- P1 of any tier, then key customers, then the rest.
  ADD COLUMN queue_rank smallint NOT NULL GENERATED ALWAYS AS (
    CASE WHEN priority = 1 THEN 0 WHEN service_tier = 4 THEN 1 ELSE 2 END) STORED;

UPDATE tickets SET due_time = open.due_time
FROM (SELECT subject_id, min(due_time) AS due_time FROM clocks WHERE stop_time IS NULL GROUP BY subject_id) open
WHERE open.subject_id = tickets.id;

-- Tickets that nobody has. The first of each department and need is found in one step, and
-- so is the next need. Without a department they stand under the zero id.
CREATE INDEX tickets_queue_idx ON tickets
  ((COALESCE(department_id, '00000000-0000-0000-0000-000000000000')), needs, queue_rank, due_time, id)
  WHERE assignee_staff_id IS NULL AND state IN (1, 2);

-- A ticket's due time follows its clocks in whatever way they change: a move, a new version
-- of a calendar, another tier. A clock that is inserted, as with every new ticket, mostly
-- finds the due time there.
-- +goose StatementBegin
CREATE FUNCTION follow_clock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tickets SET due_time = soonest.due_time
  FROM (SELECT min(c.due_time) AS due_time FROM clocks c WHERE c.subject_id = NEW.subject_id AND c.stop_time IS NULL) soonest
  WHERE tickets.id = NEW.subject_id AND tickets.due_time IS DISTINCT FROM soonest.due_time;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER clocks_insert_trigger AFTER INSERT ON clocks
  FOR EACH ROW WHEN (NEW.subject_type = 'ticket') EXECUTE FUNCTION follow_clock();
CREATE TRIGGER clocks_update_trigger AFTER UPDATE ON clocks
  FOR EACH ROW WHEN (NEW.subject_type = 'ticket' AND (OLD.due_time IS DISTINCT FROM NEW.due_time
    OR (OLD.stop_time IS NULL) <> (NEW.stop_time IS NULL))) EXECUTE FUNCTION follow_clock();

-- The account manager of a customer, of the survivor where that one was merged. Bounded as
-- customer_tier.
-- +goose StatementBegin
CREATE FUNCTION customer_owner(wanted uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
  WITH RECURSIVE way AS (
    SELECT c.owner_staff_id, c.merged_into, 1 AS step FROM customer_refs c WHERE c.id = wanted
    UNION ALL
    SELECT c.owner_staff_id, c.merged_into, way.step + 1 FROM way JOIN customer_refs c ON c.id = way.merged_into WHERE way.step < 32
  )
  SELECT owner_staff_id FROM way ORDER BY step DESC LIMIT 1
$$;
-- +goose StatementEnd

-- Who is on duty now, among some.
CREATE INDEX duty_shifts_staff_id_idx ON duty_shifts (staff_id, start_time);

-- +goose Down
DROP INDEX duty_shifts_staff_id_idx;
DROP FUNCTION customer_owner;
DROP TRIGGER clocks_update_trigger ON clocks;
DROP TRIGGER clocks_insert_trigger ON clocks;
DROP FUNCTION follow_clock;
ALTER TABLE tickets DROP COLUMN queue_rank, DROP COLUMN due_time, DROP COLUMN needs;
