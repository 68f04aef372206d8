-- name: InsertSubjectRequest :exec
INSERT INTO subject_requests (id, kind, customer_id, contact_id, purpose, correction, state, requester, note, step, cursor,
  receipt, next_time, create_time, version)
VALUES (@id, @kind, @customer_id, @contact_id, @purpose, @correction, @state, @requester, '', 0, '', '', @next_time, @create_time, 1);

-- name: GetSubjectRequest :one
SELECT * FROM subject_requests WHERE id = @id;

-- name: LockSubjectRequest :one
SELECT * FROM subject_requests WHERE id = @id FOR UPDATE;

-- name: ListSubjectRequests :many
SELECT * FROM subject_requests
WHERE id < @before AND (sqlc.narg('customer_id')::uuid IS NULL OR customer_id = sqlc.narg('customer_id')::uuid)
  AND (@state::smallint = 0 OR state = @state::smallint)
ORDER BY id DESC LIMIT @count;

-- name: DecideSubjectRequest :exec
UPDATE subject_requests SET state = @state, decider = @decider, decide_time = @decide_time, note = @note,
  next_time = @next_time, version = version + 1
WHERE id = @id;

-- name: TakeSubjectRequest :one
-- The request that has waited longest for its next step, taken until the given time.
UPDATE subject_requests SET next_time = @until WHERE id = (
  SELECT r.id FROM subject_requests r WHERE r.next_time <= @now ORDER BY r.next_time LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING *;

-- name: MoveSubjectRequest :execrows
-- A step that another process took meanwhile is not taken again.
UPDATE subject_requests SET state = @state, step = @step, cursor = @cursor, receipt = @receipt, next_time = @next_time,
  done_time = @done_time, document_expire_time = @document_expire_time, version = version + 1
WHERE id = @id AND state = 2 AND step = @old_step AND cursor = @old_cursor;

-- name: LapseSubjectDocuments :exec
-- In one statement, because nobody looks again for a document whose request has let go of it.
WITH lapsed AS (
  UPDATE subject_requests SET document_expire_time = NULL WHERE document_expire_time <= @now RETURNING id
)
DELETE FROM subject_documents AS d USING lapsed WHERE d.request_id = lapsed.id;

-- name: DeleteSubjectDocument :exec
DELETE FROM subject_documents WHERE request_id = @request_id AND service = @service;

-- name: InsertSubjectDocument :exec
INSERT INTO subject_documents (request_id, service, part, body) VALUES (@request_id, @service, @part, @body);

-- name: ListSubjectDocuments :many
SELECT service, part, body FROM subject_documents WHERE request_id = @request_id AND service = @service AND part >= @part
ORDER BY part LIMIT 16;

-- name: ListPersonIDs :many
-- The customer and those that were merged into it.
WITH RECURSIVE way AS (
  SELECT c.id, 1 AS step FROM customers c WHERE c.id = @id
  UNION ALL
  SELECT c.id, way.step + 1 FROM way JOIN customers c ON c.merged_into = way.id WHERE way.step < 32
)
SELECT DISTINCT way.id FROM way ORDER BY 1 LIMIT 100;

-- name: ListPersonFiles :many
SELECT * FROM customers WHERE id = ANY(@ids::uuid[]) ORDER BY id;

-- name: ListPersonContacts :many
SELECT * FROM contacts WHERE customer_id = ANY(@ids::uuid[]) AND delete_time IS NULL
  AND (sqlc.narg('id')::uuid IS NULL OR id = sqlc.narg('id')::uuid)
ORDER BY id LIMIT 1000;

-- name: ListRequestsNaming :many
SELECT request_id FROM access_request_customers WHERE customer_id = ANY(@ids::uuid[]);

-- name: InsertLegalHold :exec
INSERT INTO legal_holds (id, customer_id, reason, actor, create_time, version)
VALUES (@id, @customer_id, @reason, @actor, @create_time, 1);

-- name: FindLegalHold :one
SELECT * FROM legal_holds WHERE customer_id = ANY(@ids::uuid[]) AND lift_time IS NULL ORDER BY id LIMIT 1;

-- name: LockLegalHold :one
SELECT * FROM legal_holds WHERE id = @id FOR UPDATE;

-- name: LiftLegalHold :exec
UPDATE legal_holds SET lift_time = @lift_time, version = version + 1 WHERE id = @id;

-- name: ListLegalHolds :many
SELECT * FROM legal_holds WHERE id < @before AND (@lifted::boolean OR lift_time IS NULL) ORDER BY id DESC LIMIT @count;

-- name: ListSubjectOrders :many
SELECT id FROM orders WHERE customer_id = ANY(@customer_ids::uuid[]) AND id > @after ORDER BY id LIMIT @count;

-- name: ListRequestExtracts :many
SELECT id FROM access_extracts WHERE request_id = ANY(@request_ids::uuid[]) ORDER BY id LIMIT 10000;

-- name: ListSubjectRequestIDs :many
SELECT id FROM subject_requests WHERE customer_id = ANY(@customer_ids::uuid[]) ORDER BY id LIMIT 10000;

-- name: EndSubjectRequests :exec
-- What else was asked for about a person who is erased is over.
UPDATE subject_requests SET state = 4, next_time = NULL, version = version + 1
WHERE id = ANY(@ids::uuid[]) AND state IN (1, 2) AND kind <> 2;

-- name: ListContactRequestIDs :many
SELECT id FROM subject_requests WHERE contact_id = @contact_id ORDER BY id LIMIT 10000;

-- name: HoldSubjectRequest :exec
-- The part that a process is at stays its own.
UPDATE subject_requests SET next_time = @until WHERE id = @id AND state = 2 AND step = @step AND cursor = @cursor;
