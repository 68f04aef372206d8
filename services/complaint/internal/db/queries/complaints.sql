-- name: NextNumber :one
SELECT nextval('complaint_numbers');

-- name: InsertComplaint :exec
INSERT INTO complaints (id, number, customer_id, channel, title, description, category, severity_facts, order_number,
  product_model, quantity, currency, amount_units, amount_nanos, demanded_remedy, accused_staff_id, ticket_id, state,
  round, quality, severity, department_id, handler_staff_id, outcome, close_reason, source, external_id, registered_by,
  registered_in, version, create_time, update_time, close_time, policy_version, self_registered, demanded, survey_answer_id)
VALUES (@id, @number, @customer_id, @channel, @title, @description, @category, @severity_facts, @order_number,
  @product_model, @quantity, @currency, @amount_units, @amount_nanos, @demanded_remedy, @accused_staff_id, @ticket_id,
  @state, @round, @quality, @severity, @department_id, @handler_staff_id, @outcome, @close_reason, @source, @external_id,
  @registered_by, @registered_in, @version, @create_time, @update_time, @close_time, @policy_version,
  @self_registered, @demanded, @survey_answer_id);

-- name: ImportComplaint :batchone
-- Answers no row when the source's complaint is here already.
INSERT INTO complaints (id, number, customer_id, channel, title, description, category, severity_facts, order_number,
  product_model, quantity, currency, amount_units, amount_nanos, demanded_remedy, accused_staff_id, ticket_id, state,
  round, quality, severity, department_id, handler_staff_id, outcome, close_reason, source, external_id, registered_by,
  registered_in, version, create_time, update_time, close_time, self_registered, demanded, survey_answer_id)
VALUES (@id, @prefix::text || lpad(nextval('complaint_numbers')::text, 6, '0'), @customer_id, @channel, @title, @description, @category, @severity_facts,
  @order_number, @product_model, @quantity, @currency, @amount_units, @amount_nanos, @demanded_remedy,
  @accused_staff_id, @ticket_id, @state, 1, 0, 0, @department_id, NULL, @outcome, '', @source, @external_id,
  @registered_by, @registered_in, 1, @create_time, @update_time, @close_time, @self_registered, @demanded, @survey_answer_id)
ON CONFLICT ON CONSTRAINT complaints_source_external_id_key DO NOTHING
RETURNING number;

-- name: SelectImported :many
SELECT id, number, external_id::text AS external_id FROM complaints
WHERE source = @source::text AND external_id = ANY (@external_ids::text[]);

-- name: GetComplaint :one
SELECT * FROM complaints WHERE id = $1;

-- name: LockComplaint :one
SELECT * FROM complaints WHERE id = $1 FOR NO KEY UPDATE;

-- name: LockComplaintsOf :many
-- Those of a department in a state, in the order of their ids.
SELECT * FROM complaints WHERE department_id = @department_id AND state = @state ORDER BY id FOR NO KEY UPDATE;

-- name: UpdateComplaint :exec
UPDATE complaints SET category = @category, state = @state, round = @round, quality = @quality, severity = @severity,
  department_id = @department_id, handler_staff_id = @handler_staff_id, outcome = @outcome, close_reason = @close_reason,
  version = @version, update_time = @update_time, close_time = @close_time
WHERE id = @id;

-- name: SetPolicyVersion :exec
UPDATE complaints SET policy_version = @policy_version WHERE id = @id;

-- name: ListPastComplaints :many
-- A dry run reads all complaints once, so the filters need no index. A complaint is general
-- until a review says that it is major.
SELECT c.id, c.number, c.create_time, c.close_time, c.channel, c.severity, c.source, r.tell_time AS first_tell_time
FROM complaints c JOIN complaint_rounds r ON r.complaint_id = c.id AND r.number = 1
WHERE c.id > @after
  AND (sqlc.narg('create_from')::timestamptz IS NULL OR c.create_time >= sqlc.narg('create_from'))
  AND (sqlc.narg('create_to')::timestamptz IS NULL OR c.create_time < sqlc.narg('create_to'))
  AND (@severity::smallint = 0 OR GREATEST(c.severity, 1::smallint) = @severity)
  AND (@source::text = '' OR c.source = @source)
  AND (@live::boolean AND c.source IS NULL OR @imported::boolean AND c.source IS NOT NULL)
ORDER BY c.id LIMIT @size;

-- name: SetReaders :exec
WITH gone AS (
  DELETE FROM complaint_readers d WHERE d.complaint_id = @complaint_id AND d.reader <> ALL (@readers::text[])
)
INSERT INTO complaint_readers (complaint_id, reader, state) SELECT @complaint_id, unnest(@readers::text[]), @state
ON CONFLICT ON CONSTRAINT complaint_readers_pkey DO UPDATE SET state = excluded.state;

-- name: InsertReaders :copyfrom
INSERT INTO complaint_readers (complaint_id, reader, state) VALUES ($1, $2, $3);

-- name: MayRead :one
SELECT EXISTS (SELECT FROM complaint_readers WHERE complaint_id = @complaint_id AND reader = ANY (@readers::text[]));

-- name: SelectHeadedDepartments :many
SELECT id FROM directory_departments WHERE head_staff_id = @staff_id::uuid ORDER BY id;
