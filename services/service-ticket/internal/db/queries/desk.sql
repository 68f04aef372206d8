-- name: ListTransitionsByVersion :many
SELECT * FROM ticket_transitions WHERE ticket_id = @ticket_id AND version = ANY(@versions::bigint[]);

-- name: ListCommentsByID :many
SELECT * FROM comments WHERE id = ANY(@ids::uuid[]);

-- name: ListContactsByID :many
SELECT * FROM ticket_contacts WHERE id = ANY(@ids::uuid[]);

-- name: ListSolutionPlansByID :many
SELECT * FROM solution_plans WHERE id = ANY(@ids::uuid[]);

-- name: ListWorkEntriesByID :many
SELECT * FROM work_entries WHERE id = ANY(@ids::uuid[]);

-- name: ListTasksByID :many
SELECT * FROM tasks WHERE id = ANY(@ids::uuid[]);

-- name: ListDepartmentIDs :many
SELECT id FROM departments WHERE close_time IS NULL ORDER BY id;

-- name: ListWatched :many
-- Those of some tickets that somebody watches.
SELECT ticket_id FROM watchers WHERE staff_id = @staff_id AND ticket_id = ANY(@ids::uuid[]);
