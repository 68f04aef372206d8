-- +goose Up
-- What waits for triage without a department is a part of every agent's own list; where a
-- million tickets have one, it is not looked for among all that wait.
CREATE INDEX tickets_unsorted_idx ON tickets (state, id) WHERE assignee_staff_id IS NULL AND department_id IS NULL;

-- +goose Down
DROP INDEX tickets_unsorted_idx;
