-- name: InsertSolutionPlan :exec
INSERT INTO solution_plans (id, ticket_id, round, text, plan_time, staff_id, create_time)
VALUES (@id, @ticket_id, @round, @text, @plan_time, @staff_id, @create_time);

-- name: ListSolutionPlans :many
SELECT * FROM solution_plans WHERE ticket_id = @ticket_id AND id > @after ORDER BY id LIMIT @size;

-- name: InsertWorkEntry :exec
INSERT INTO work_entries (id, ticket_id, kind, minutes, currency, amount, note, work_time, staff_id, void_reason, create_time)
VALUES (@id, @ticket_id, @kind, @minutes, @currency, @amount, @note, @work_time, @staff_id, '', @create_time);

-- name: LockWorkEntry :one
SELECT * FROM work_entries WHERE id = @id FOR NO KEY UPDATE;

-- name: VoidWorkEntry :exec
UPDATE work_entries SET void_reason = @void_reason WHERE id = @id;

-- name: ListWorkEntries :many
SELECT * FROM work_entries WHERE ticket_id = @ticket_id AND id > @after ORDER BY id LIMIT @size;

-- name: SumWorkEntries :many
-- Minutes stand under the currency ''.
SELECT currency, sum(minutes)::bigint AS minutes, sum(amount)::bigint AS amount FROM work_entries
WHERE ticket_id = @ticket_id AND void_reason = '' GROUP BY currency ORDER BY currency;

-- name: InsertWatcher :execrows
INSERT INTO watchers (ticket_id, staff_id, create_time) VALUES (@ticket_id, @staff_id, @create_time) ON CONFLICT DO NOTHING;

-- name: GetWatcher :one
SELECT * FROM watchers WHERE ticket_id = @ticket_id AND staff_id = @staff_id;

-- name: DeleteWatcher :execrows
DELETE FROM watchers WHERE ticket_id = @ticket_id AND staff_id = @staff_id;

-- name: FindWatchers :many
SELECT * FROM watchers WHERE ticket_id = @ticket_id ORDER BY create_time, staff_id LIMIT 100;

-- name: InsertLink :exec
INSERT INTO ticket_links (id, ticket_id, other_id, kind, create_time) VALUES (@id, @ticket_id, @other_id, @kind, @create_time);

-- name: DeleteLink :execrows
DELETE FROM ticket_links WHERE id = @id AND (ticket_id = @of::uuid OR other_id = @of::uuid);

-- name: ListLinks :many
SELECT l.* FROM (
  (SELECT a.* FROM ticket_links a WHERE a.ticket_id = @of::uuid ORDER BY a.id LIMIT 200)
  UNION ALL
  (SELECT b.* FROM ticket_links b WHERE b.other_id = @of::uuid ORDER BY b.id LIMIT 200)
) l ORDER BY l.id LIMIT 200;

-- name: ListTicketsByID :many
SELECT * FROM tickets WHERE id = ANY(@ids::uuid[]) ORDER BY id;

-- name: InsertMerge :exec
INSERT INTO ticket_merges (id, ticket_id, into_id, state, wait_for, merge_time)
VALUES (@id, @ticket_id, @into_id, @state, @wait_for, @merge_time);

-- name: GetOpenMerge :one
SELECT * FROM ticket_merges WHERE ticket_id = @ticket_id AND undo_time IS NULL;

-- name: EndMerge :exec
UPDATE ticket_merges SET undo_time = @undo_time::timestamptz WHERE id = @id;

-- name: MoveTasks :many
-- Open sub-tasks go with the ticket.
UPDATE tasks SET ticket_id = @into_id WHERE ticket_id = @ticket_id AND state = 1 RETURNING id;

-- name: MoveWatchers :many
INSERT INTO watchers (ticket_id, staff_id, create_time)
SELECT @into_id::uuid, w.staff_id, w.create_time FROM watchers w WHERE w.ticket_id = @ticket_id
ON CONFLICT DO NOTHING RETURNING staff_id;

-- name: InsertMergeItems :exec
INSERT INTO ticket_merge_items (merge_id, kind, item_id) SELECT @merge_id::uuid, @kind::smallint, unnest(@item_ids::uuid[]);

-- name: ReturnTasks :execrows
-- Those still open; what was done since was done for the ticket that went on.
UPDATE tasks SET ticket_id = @ticket_id WHERE ticket_id = @into_id AND state = 1
  AND id IN (SELECT item_id FROM ticket_merge_items WHERE merge_id = @merge_id AND kind = 1);

-- name: ReturnWatchers :execrows
DELETE FROM watchers WHERE ticket_id = @into_id
  AND staff_id IN (SELECT item_id FROM ticket_merge_items WHERE merge_id = @merge_id AND kind = 2);

-- name: CountMergeItems :one
SELECT count(*)::integer FROM ticket_merge_items WHERE merge_id = @merge_id;

-- name: ListTransitionsSince :many
SELECT * FROM ticket_transitions WHERE ticket_id = @ticket_id AND occur_time >= @since ORDER BY version LIMIT 100;

-- name: CountCommentsSince :one
SELECT count(*)::integer FROM comments WHERE ticket_id = @ticket_id AND create_time >= @since;

-- name: InsertCannedAnswer :exec
INSERT INTO canned_answers (id, code, title, department_id, languages, bodies, create_time, update_time, version)
VALUES (@id, @code, @title, @department_id, @languages, @bodies, @create_time, @create_time, 1);

-- name: GetCannedAnswer :one
SELECT * FROM canned_answers WHERE id = @id;

-- name: LockCannedAnswer :one
SELECT * FROM canned_answers WHERE id = @id FOR NO KEY UPDATE;

-- name: UpdateCannedAnswer :exec
UPDATE canned_answers SET code = @code, title = @title, department_id = @department_id, languages = @languages, bodies = @bodies,
  update_time = @update_time, version = @version
WHERE id = @id;

-- name: DeleteCannedAnswer :execrows
DELETE FROM canned_answers WHERE id = @id;

-- name: ListCannedAnswers :many
SELECT * FROM canned_answers WHERE id > @after
  AND (sqlc.narg('department_id')::uuid IS NULL OR department_id IS NULL OR department_id = sqlc.narg('department_id'))
ORDER BY id LIMIT @size;

-- name: GetCustomerLanguage :one
SELECT language FROM customer_refs WHERE id = @id;
