-- name: GetStanding :one
-- What decides to whom a file is open.
SELECT tier, owner_staff_id FROM customers WHERE id = @id AND erase_time IS NULL;

-- name: OpenFile :one
-- A file with what decides whether a member of staff may read it, all in one round trip:
-- their grant for it that ends last, over or not; where they stand in the directory, nowhere
-- when two claim their identity; the account manager's department; and the ticket for which
-- they go to the customer. The nil id stands for none.
SELECT sqlc.embed(c),
  coalesce(g.id, '00000000-0000-0000-0000-000000000000')::uuid AS grant_id, coalesce(g.break_glass, false)::boolean AS break_glass,
  coalesce(g.end_time, c.create_time)::timestamptz AS grant_end_time,
  coalesce(me.id, '00000000-0000-0000-0000-000000000000')::uuid AS staff_id,
  coalesce(me.department_id, '00000000-0000-0000-0000-000000000000')::uuid AS department_id,
  coalesce(m.department_id, '00000000-0000-0000-0000-000000000000')::uuid AS owner_department_id,
  coalesce(v.subject_id, '00000000-0000-0000-0000-000000000000')::uuid AS visit_ticket_id
FROM customers c
LEFT JOIN LATERAL (
  (SELECT r.id, false AS break_glass, r.end_time FROM access_requests r
   JOIN access_request_customers rc ON rc.request_id = r.id
   WHERE rc.customer_id = c.id AND r.asker = @actor AND r.state = 2 AND r.outsider IS NULL
   ORDER BY r.end_time DESC LIMIT 1)
  UNION ALL
  (SELECT b.id, true, b.end_time FROM break_glasses b
   WHERE b.customer_id = c.id AND b.actor = @actor ORDER BY b.end_time DESC LIMIT 1)
  ORDER BY end_time DESC LIMIT 1
) g ON true
LEFT JOIN LATERAL (
  SELECT s.id, s.department_id FROM directory_staff s WHERE s.issuer = @issuer AND s.subject = @subject
    AND NOT EXISTS (SELECT FROM directory_staff o WHERE o.issuer = s.issuer AND o.subject = s.subject AND o.id <> s.id)
) me ON true
LEFT JOIN directory_staff m ON m.id = c.owner_staff_id
LEFT JOIN LATERAL (
  SELECT k.subject_id FROM cases k
  WHERE @visits::boolean AND k.customer_id = c.id AND k.visitor_staff_id = me.id ORDER BY k.subject_id LIMIT 1
) v ON true
WHERE c.id = @id AND c.erase_time IS NULL;

-- name: InsertFileRead :exec
INSERT INTO file_reads (id, read_time, reader, customer_id, basis, access_right)
VALUES (@id, @read_time, @reader, @customer_id, @basis, @access_right);

-- name: InsertAccessRequest :exec
INSERT INTO access_requests (id, asker, purpose, days, outsider, organisation, identity_check, state, note, create_time, version)
VALUES (@id, @asker, @purpose, @days, @outsider, @organisation, @identity_check, 1, '', @create_time, 1);

-- name: InsertAccessRequestCustomers :exec
INSERT INTO access_request_customers (request_id, customer_id) SELECT @request_id, unnest(@customer_ids::uuid[]);

-- name: FindCustomers :many
-- Those of the customers that exist and, where an owner is given, are theirs.
SELECT id FROM customers WHERE id = ANY(@ids::uuid[]) AND erase_time IS NULL
  AND (sqlc.narg('owner_staff_id')::uuid IS NULL OR owner_staff_id = sqlc.narg('owner_staff_id')::uuid);

-- name: GetAccessRequest :one
SELECT * FROM access_requests WHERE id = @id;

-- name: LockAccessRequest :one
SELECT * FROM access_requests WHERE id = @id FOR UPDATE;

-- name: ListAccessRequestCustomers :many
SELECT * FROM access_request_customers WHERE request_id = ANY(@request_ids::uuid[]) ORDER BY request_id, customer_id;

-- name: DecideAccessRequest :exec
UPDATE access_requests SET state = @state, decider = @decider, decide_time = @decide_time, note = @note,
  end_time = @end_time, version = version + 1
WHERE id = @id;

-- name: RevokeAccessRequest :exec
UPDATE access_requests SET state = 4, note = @note, end_time = @revoke_time, revoke_time = @revoke_time, version = version + 1
WHERE id = @id;

-- name: ListAccessRequests :many
SELECT * FROM access_requests
WHERE id < @before
  AND (sqlc.narg('asker')::text IS NULL OR asker = sqlc.narg('asker')::text)
  AND (sqlc.narg('state')::smallint IS NULL OR state = sqlc.narg('state')::smallint)
  AND (sqlc.narg('ended_by')::timestamptz IS NULL OR end_time <= sqlc.narg('ended_by')::timestamptz)
  AND (sqlc.narg('lasts_at')::timestamptz IS NULL OR end_time > sqlc.narg('lasts_at')::timestamptz)
ORDER BY id DESC LIMIT @count;

-- name: InsertAccessExtract :exec
INSERT INTO access_extracts (id, request_id, create_time) VALUES (@id, @request_id, @create_time);

-- name: InsertBreakGlass :exec
INSERT INTO break_glasses (id, actor, customer_id, reason, end_time, create_time, version)
VALUES (@id, @actor, @customer_id, @reason, @end_time, @create_time, 1);

-- name: GetBreakGlass :one
SELECT * FROM break_glasses WHERE id = @id;

-- name: LockBreakGlass :one
SELECT * FROM break_glasses WHERE id = @id FOR UPDATE;

-- name: ReviewBreakGlass :exec
UPDATE break_glasses SET reviewer = @reviewer, review_time = @review_time, justified = @justified, note = @note,
  version = version + 1
WHERE id = @id;

-- name: ListBreakGlasses :many
SELECT * FROM break_glasses
WHERE id < @before AND (sqlc.narg('actor')::text IS NULL OR actor = sqlc.narg('actor')::text)
ORDER BY id DESC LIMIT @count;

-- name: ListUnreviewedBreakGlasses :many
SELECT * FROM break_glasses
WHERE reviewer IS NULL AND id < @before AND (sqlc.narg('actor')::text IS NULL OR actor = sqlc.narg('actor')::text)
ORDER BY id DESC LIMIT @count;

-- name: UseUnmaskBudget :one
-- The use after this one; no row when the budget is used up.
INSERT INTO unmask_budgets (actor, day, used) SELECT @actor, @day, 1 WHERE @budget::int > 0
ON CONFLICT (actor, day) DO UPDATE SET used = unmask_budgets.used + 1 WHERE unmask_budgets.used < @budget::int
RETURNING used;

-- name: InsertUnmask :exec
INSERT INTO unmasks (id, actor, customer_id, contact_id, field, purpose, unmask_time)
VALUES (@id, @actor, @customer_id, @contact_id, @field, @purpose, @unmask_time);
