-- name: InsertTriageRules :one
INSERT INTO triage_rules (id, state, content, create_time, update_time, revision)
VALUES (@id, 1, @content, @create_time, @create_time, 1)
RETURNING *;

-- name: GetTriageRules :one
SELECT * FROM triage_rules WHERE version = @version;

-- name: LockTriageRules :one
SELECT * FROM triage_rules WHERE version = @version FOR NO KEY UPDATE;

-- name: UpdateTriageRules :exec
UPDATE triage_rules SET state = @state, effective_time = @effective_time, content = @content, update_time = @update_time, revision = @revision
WHERE version = @version;

-- name: ListTriageRules :many
SELECT * FROM triage_rules WHERE version < @before ORDER BY version DESC LIMIT @size;

-- name: TriageRulesInEffect :one
SELECT triage_rules_in_effect(@at)::bigint AS version;

-- name: TriageRulesInEffectAt :many
-- The version in effect at each of the times, in their order; 0 for none.
SELECT triage_rules_in_effect(t.at)::bigint AS version FROM unnest(@times::timestamptz[]) WITH ORDINALITY AS t (at, n) ORDER BY t.n;

-- name: LockTriageSeed :exec
-- Replicas that start at once seed one after another. Released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('triage_rules.seed', 0));

-- name: InsertTicketTriage :exec
INSERT INTO ticket_triages (ticket_id, rules_version, content) VALUES (@ticket_id, @rules_version, @content);

-- name: GetTicketTriage :one
SELECT * FROM ticket_triages WHERE ticket_id = @ticket_id;

-- name: GetRoutingVersion :one
SELECT version FROM routing_versions;

-- name: ListAllRoutes :many
-- A company has few routes: all are kept in memory.
SELECT * FROM routes ORDER BY id;

-- name: ListDepartmentsOfFunctions :many
-- The one added first for each function.
SELECT DISTINCT ON (function) function, id FROM departments WHERE function <> 0 AND close_time IS NULL ORDER BY function, id;

-- name: ListTeachingTickets :many
-- The newest tickets that people triaged and the newest that were imported. Ids grow with the
-- time of recording. Follow-ups (10) were opened by the suite, with a text of its own.
SELECT t.id, t.create_time, t.type, t.department_id, t.title, t.description FROM tickets t
WHERE t.title <> '' AND t.type <> 10 AND t.id = ANY(ARRAY(
  (SELECT r.ticket_id FROM ticket_transitions r WHERE r.verb = 'triage' ORDER BY r.ticket_id DESC LIMIT @size)
  UNION
  (SELECT i.id FROM tickets i WHERE i.source IS NOT NULL ORDER BY i.id DESC LIMIT @size)))
ORDER BY t.create_time DESC, t.id DESC LIMIT @size;

-- name: LockTriageTraining :exec
-- Trainings follow each other. Released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('triage_models', 0));

-- name: InsertTriageModel :one
INSERT INTO triage_models (id, create_time, figures, content) VALUES (@id, @create_time, @figures, @content) RETURNING version;

-- name: ForgetTriageModels :exec
UPDATE triage_models SET content = NULL WHERE version < @version AND content IS NOT NULL;

-- name: LatestTriageModel :one
-- Its version and when it was learned, 0 for none.
SELECT COALESCE(max(version), 0)::bigint AS version, COALESCE(max(create_time), 'epoch')::timestamptz AS create_time FROM triage_models;

-- name: GetTriageModel :one
SELECT * FROM triage_models WHERE version = @version;

-- name: ListTriageModels :many
SELECT version, figures FROM triage_models WHERE version < @before ORDER BY version DESC LIMIT @size;
