-- +goose Up
-- Who goes to a customer: the assignee of a repair, return or installation that is not
-- resolved yet. What was assigned before this migration stands with the ticket's next event.
ALTER TABLE cases ADD COLUMN visitor_staff_id uuid;
CREATE INDEX cases_visitor_staff_id_idx ON cases (customer_id, visitor_staff_id) WHERE visitor_staff_id IS NOT NULL;

-- +goose Down
DROP INDEX cases_visitor_staff_id_idx;
ALTER TABLE cases DROP COLUMN visitor_staff_id;
