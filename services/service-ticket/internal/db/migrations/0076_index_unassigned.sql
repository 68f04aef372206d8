-- +goose Up
-- What waits in a department for somebody, the newest first: an agent's own list read every
-- ticket of the department in these states for those that nobody has.
CREATE INDEX tickets_unassigned_idx ON tickets (department_id, state, id) WHERE assignee_staff_id IS NULL;
DROP INDEX tickets_unsorted_idx;

-- +goose Down
CREATE INDEX tickets_unsorted_idx ON tickets (state, id) WHERE assignee_staff_id IS NULL AND department_id IS NULL;
DROP INDEX tickets_unassigned_idx;
