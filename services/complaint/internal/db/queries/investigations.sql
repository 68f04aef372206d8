-- name: SetInvestigation :exec
INSERT INTO complaint_investigations (complaint_id, round, findings, reason, cause_id, receive_time, questions, answers,
  consequences, currency, loss_units, loss_nanos, investigator_staff_id, investigate_time)
VALUES (@complaint_id, @round, @findings, @reason, @cause_id, @receive_time, @questions, @answers,
  @consequences, @currency, @loss_units, @loss_nanos, @investigator_staff_id, @investigate_time)
ON CONFLICT ON CONSTRAINT complaint_investigations_pkey DO UPDATE SET findings = excluded.findings, reason = excluded.reason,
  cause_id = excluded.cause_id, questions = excluded.questions, answers = excluded.answers, consequences = excluded.consequences,
  currency = excluded.currency, loss_units = excluded.loss_units, loss_nanos = excluded.loss_nanos,
  investigator_staff_id = excluded.investigator_staff_id, investigate_time = excluded.investigate_time;

-- name: SetInspection :exec
INSERT INTO complaint_inspections (complaint_id, round, quality, cause, measures, inspector_staff_id, inspect_time)
VALUES (@complaint_id, @round, @quality, @cause, @measures, @inspector_staff_id, @inspect_time)
ON CONFLICT ON CONSTRAINT complaint_inspections_pkey DO UPDATE SET quality = excluded.quality, cause = excluded.cause,
  measures = excluded.measures, inspector_staff_id = excluded.inspector_staff_id, inspect_time = excluded.inspect_time;

-- name: SelectInvestigations :many
-- The last of each complaint.
SELECT DISTINCT ON (complaint_id) * FROM complaint_investigations
WHERE complaint_id = ANY (@complaint_ids::uuid[]) ORDER BY complaint_id, round DESC;

-- name: SelectInspections :many
-- The last of each complaint.
SELECT DISTINCT ON (complaint_id) * FROM complaint_inspections
WHERE complaint_id = ANY (@complaint_ids::uuid[]) ORDER BY complaint_id, round DESC;

-- name: IsInspected :one
SELECT EXISTS (SELECT FROM complaint_inspections WHERE complaint_id = $1 AND round = $2);

-- name: SelectSameCause :many
-- The newest complaints with a cause within a span of time: at most a hundred rounds are read.
-- Causes are found in any order, so the span goes both ways from a complaint.
SELECT complaint_id FROM complaint_investigations
WHERE cause_id = @cause_id::uuid AND receive_time >= @since AND receive_time <= @until AND complaint_id <> @complaint_id
ORDER BY receive_time DESC LIMIT 100;

-- name: UnlinkCause :exec
DELETE FROM complaint_repeats WHERE complaint_id = $1 AND basis = 3;

-- name: InsertCause :exec
INSERT INTO complaint_causes (id, code, parent_id, name_zh, name_en, retired, version)
VALUES (@id, @code, @parent_id, @name_zh, @name_en, @retired, 1);

-- name: UpdateCause :exec
UPDATE complaint_causes SET parent_id = @parent_id, name_zh = @name_zh, name_en = @name_en, retired = @retired, version = @version
WHERE id = @id;

-- name: GetCause :one
SELECT * FROM complaint_causes WHERE id = $1;

-- name: LockCauses :many
-- The whole tree, so that two changes at once make no circle.
SELECT * FROM complaint_causes ORDER BY id FOR UPDATE;

-- name: ListCauses :many
SELECT * FROM complaint_causes WHERE NOT retired OR NOT @in_use::boolean ORDER BY code LIMIT 1000;
