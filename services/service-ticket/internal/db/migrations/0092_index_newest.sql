-- +goose Up
-- An agent's own list read the newest of each state of what they have and of what waits, and sorted
-- them. These have them in the order of the list, whatever the state. A ticket stands in one of the
-- two at most.
CREATE INDEX tickets_assignee_newest_idx ON tickets (assignee_staff_id, id) WHERE assignee_staff_id IS NOT NULL;
CREATE INDEX tickets_waiting_idx ON tickets (department_id, id) WHERE assignee_staff_id IS NULL AND state IN (1, 2);

-- +goose Down
DROP INDEX tickets_waiting_idx, tickets_assignee_newest_idx;
