-- name: NextTicketNumbers :many
SELECT nextval('ticket_numbers') FROM generate_series(1, @count::integer);

-- name: InsertTicket :exec
INSERT INTO tickets (id, number, customer_id, channel, mode, phase, type, priority, title, description,
  product_model, serial_number, order_number, reporter_name, reporter_subject_id, reporter_phone,
  reporter_phone_index, reporter_email, state, round, department_id, assignee_staff_id, wait_for, resolution,
  evidence_answer_id, evidence_question_key, evidence_score, evidence_ticket_id, evidence_complaint_id,
  origin_event_id, source, external_id, create_time, update_time, resolve_time, close_time, confirm_due,
  service_tier, policy_version, needs, due_time, urgency, impact, priority_source, registrar, version)
VALUES (@id, @number, live_customer(sqlc.narg('customer_id')), @channel, @mode, @phase, @type, @priority, @title, @description,
  @product_model, @serial_number, @order_number, @reporter_name, @reporter_subject_id, @reporter_phone,
  @reporter_phone_index, @reporter_email, @state, @round, @department_id, @assignee_staff_id, @wait_for, @resolution,
  @evidence_answer_id, @evidence_question_key, @evidence_score, @evidence_ticket_id, @evidence_complaint_id,
  @origin_event_id, @source, @external_id, @create_time, @update_time, @resolve_time, @close_time, @confirm_due,
  @service_tier, @policy_version, @needs, @due_time, @urgency, @impact, @priority_source, @registrar, 1);

-- name: GetTicket :one
SELECT * FROM tickets WHERE id = @id;

-- name: GetTicketSeen :one
-- A ticket with what decides whether somebody reaches it: their place in the directory.
SELECT sqlc.embed(tickets), staff.id AS staff_id, staff.department_id AS staff_department_id
FROM tickets LEFT JOIN staff ON staff.issuer = @issuer AND staff.subject = @subject WHERE tickets.id = @id;

-- name: LockTicketSeen :one
-- GetTicketSeen of a ticket that is held.
SELECT sqlc.embed(tickets), staff.id AS staff_id, staff.department_id AS staff_department_id
FROM tickets LEFT JOIN staff ON staff.issuer = @issuer AND staff.subject = @subject WHERE tickets.id = @id
FOR NO KEY UPDATE OF tickets;

-- name: GetTicketByOriginEvent :one
SELECT id FROM tickets WHERE origin_event_id = @origin_event_id;

-- name: LockTicket :one
SELECT * FROM tickets WHERE id = @id FOR NO KEY UPDATE;

-- name: LockTickets :many
-- In the order of their ids, so that two merges the other way round wait and do not
-- deadlock.
SELECT * FROM tickets WHERE id = ANY(@ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: LockUnconfirmed :many
-- Tickets on which the customer was silent too long, each with the tier of its customer,
-- of the survivor where that one was merged. One with an open required task is passed over, so
-- that it keeps no other open.
SELECT sqlc.embed(tickets), customer_tier(tickets.customer_id)::smallint AS tier
FROM tickets WHERE tickets.confirm_due <= @now::timestamptz
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.ticket_id = tickets.id AND tasks.state = 1 AND tasks.required)
ORDER BY tickets.confirm_due LIMIT @size
FOR NO KEY UPDATE OF tickets SKIP LOCKED;

-- name: UpdateTicketStanding :exec
-- Of tickets that move in one transaction it is one statement (pg.Rows).
UPDATE tickets SET type = new.type, priority = new.priority, urgency = new.urgency, impact = new.impact,
  priority_source = new.priority_source, state = new.state, round = new.round, department_id = new.department_id,
  assignee_staff_id = new.assignee_staff_id, wait_for = new.wait_for, resolution = new.resolution,
  merged_into = new.merged_into, resolve_time = new.resolve_time, close_time = new.close_time,
  confirm_due = new.confirm_due, due_time = new.due_time, update_time = new.update_time, version = new.version
FROM (VALUES (@id::uuid, @type::smallint, @priority::smallint, @urgency::smallint, @impact::smallint,
  @priority_source::smallint, @state::smallint, @round::integer, sqlc.narg('department_id')::uuid,
  sqlc.narg('assignee_staff_id')::uuid, @wait_for::smallint, @resolution::text, sqlc.narg('merged_into')::uuid,
  sqlc.narg('resolve_time')::timestamptz, sqlc.narg('close_time')::timestamptz, sqlc.narg('confirm_due')::timestamptz,
  sqlc.narg('due_time')::timestamptz, @update_time::timestamptz, @version::bigint))
  AS new (id, type, priority, urgency, impact, priority_source, state, round, department_id, assignee_staff_id, wait_for,
    resolution, merged_into, resolve_time, close_time, confirm_due, due_time, update_time, version)
WHERE tickets.id = new.id;

-- name: UpdateTicketRecord :exec
UPDATE tickets SET title = @title, description = @description, product_model = @product_model,
  serial_number = @serial_number, order_number = @order_number, reporter_name = @reporter_name,
  reporter_subject_id = @reporter_subject_id, reporter_phone = @reporter_phone,
  reporter_phone_index = @reporter_phone_index, reporter_email = @reporter_email,
  update_time = @update_time, version = @version
WHERE id = @id;

-- name: TouchTicket :exec
UPDATE tickets SET confirm_due = @confirm_due, update_time = @update_time, version = @version WHERE id = @id;

-- name: ListImported :many
SELECT id, number, external_id FROM tickets WHERE source = @source::text AND external_id = ANY(@external_ids::text[]);

-- name: LockImports :exec
-- Imports of one source follow each other, so that two calls with the same records do
-- not both find them missing. Released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('tickets.import/' || @source::text, 0));

-- name: ListKnownDepartments :many
SELECT id, (close_time IS NULL)::boolean AS open FROM departments WHERE id = ANY(@ids::uuid[]);

-- name: InsertTransition :exec
-- The actor's staff id is looked up here, so that registering a ticket stays one round
-- trip. Nobody has an empty subject.
INSERT INTO ticket_transitions (ticket_id, version, verb, from_state, to_state, round, reason, actor, actor_kind,
  actor_staff_id, assignee_staff_id, occur_time, wait_for, priority, priority_source, urgency, impact)
VALUES (@ticket_id, @version, @verb, @from_state, @to_state, @round, @reason, @actor, @actor_kind,
  (SELECT staff.id FROM staff WHERE staff.issuer = @actor_issuer AND staff.subject = @actor_subject),
  @assignee_staff_id, @occur_time, @wait_for, @priority, @priority_source, @urgency, @impact);

-- name: ListTransitions :many
SELECT * FROM ticket_transitions WHERE ticket_id = @ticket_id AND version > @after ORDER BY version LIMIT @size;

