-- +goose Up
-- Postgres does not take "is null" for the equality with which an order by an index begins: what waits
-- without a department was read in the order of tickets_waiting_idx and sorted. A ticket stands in one
-- of the two.
CREATE INDEX tickets_waiting_nowhere_idx ON tickets (id)
  WHERE assignee_staff_id IS NULL AND department_id IS NULL AND state IN (1, 2);
DROP INDEX tickets_waiting_idx;
CREATE INDEX tickets_waiting_idx ON tickets (department_id, id)
  WHERE assignee_staff_id IS NULL AND department_id IS NOT NULL AND state IN (1, 2);

-- +goose Down
DROP INDEX tickets_waiting_idx, tickets_waiting_nowhere_idx;
CREATE INDEX tickets_waiting_idx ON tickets (department_id, id) WHERE assignee_staff_id IS NULL AND state IN (1, 2);
