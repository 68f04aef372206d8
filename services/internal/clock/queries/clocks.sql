-- name: InsertClock :exec
INSERT INTO clocks (id, subject_type, subject_id, kind, round, state, owner_role, owner_staff_id, owner_department_id,
  calendar_id, calendar_version, policy_id, policy_version, clause_id, target, start_time, due_time, stop_time,
  next_step_time, version)
VALUES (@id, @subject_type, @subject_id, @kind, @round, @state, @owner_role, @owner_staff_id, @owner_department_id,
  @calendar_id, @calendar_version, @policy_id, @policy_version, @clause_id, @target, @start_time, @due_time, @stop_time,
  @next_step_time, @version);

-- name: UpdateClock :exec
UPDATE clocks SET
  state = @state, owner_role = @owner_role, owner_staff_id = @owner_staff_id, owner_department_id = @owner_department_id,
  calendar_id = @calendar_id, calendar_version = @calendar_version, policy_id = @policy_id, policy_version = @policy_version,
  clause_id = @clause_id, target = @target, due_time = @due_time, stop_time = @stop_time, next_step_time = @next_step_time,
  version = @version
WHERE id = @id;

-- name: InsertEntry :exec
INSERT INTO clock_log (clock_id, position, type, occur_time, record_time, actor, actor_kind, reason, terms, owner, step,
  role, scheduled_time, amount)
VALUES (@clock_id, @position, @type, @occur_time, @record_time, @actor, @actor_kind, @reason, @terms, @owner, @step,
  @role, @scheduled_time, @amount);

-- name: HoldClocks :many
-- HoldClocks locks clocks of a case in one order, so that two who hold several do not wait
-- for each other. No kinds are all kinds, round 0 is every round.
SELECT * FROM clocks
WHERE subject_id = @subject_id AND (@ended::boolean OR stop_time IS NULL)
  AND (cardinality(@kinds::text[]) = 0 OR kind = ANY(@kinds::text[])) AND (@round::integer = 0 OR round = @round)
ORDER BY id
FOR UPDATE;

-- name: ListClocks :many
SELECT * FROM clocks WHERE subject_id = $1 ORDER BY id;

-- name: GetClock :one
SELECT * FROM clocks WHERE id = $1;

-- name: ListEntries :many
SELECT * FROM clock_log WHERE clock_id = ANY(@clock_ids::uuid[]) ORDER BY clock_id, position;

-- name: InsertCalendar :exec
INSERT INTO clock_calendars (calendar_id, version, definition) VALUES ($1, $2, $3)
ON CONFLICT (calendar_id, version) DO NOTHING;

-- name: GetCalendar :one
SELECT definition FROM clock_calendars WHERE calendar_id = $1 AND version = $2;

-- name: ListCalendarVersions :many
SELECT calendar_id, version FROM clock_calendars;

-- name: AnyDue :one
-- AnyDue looks at the soonest alone. Asked for any that is due, the planner would read the
-- whole table as soon as its statistics remember a backlog.
SELECT COALESCE((SELECT next_step_time FROM clocks WHERE next_step_time IS NOT NULL ORDER BY next_step_time LIMIT 1)
  <= @now::timestamptz, false)::boolean;

-- name: HoldDue :many
SELECT * FROM clocks WHERE next_step_time <= @now::timestamptz
ORDER BY next_step_time
LIMIT @size::integer
FOR UPDATE SKIP LOCKED;

-- name: ListCalendarsInUse :many
-- ListCalendarsInUse hops from one pair to the next along the index, so that it costs as
-- much for a million open clocks as for one.
WITH RECURSIVE used AS (
  (SELECT calendar_id, calendar_version FROM clocks WHERE stop_time IS NULL ORDER BY calendar_id, calendar_version LIMIT 1)
  UNION ALL
  SELECT following.calendar_id, following.calendar_version
  FROM used, LATERAL (
    SELECT c.calendar_id, c.calendar_version FROM clocks c
    WHERE c.stop_time IS NULL AND (c.calendar_id, c.calendar_version) > (used.calendar_id, used.calendar_version)
    ORDER BY c.calendar_id, c.calendar_version LIMIT 1
  ) AS following
)
SELECT calendar_id, calendar_version FROM used;

-- name: HoldOutdated :many
SELECT * FROM clocks
WHERE stop_time IS NULL AND calendar_id = @calendar_id AND calendar_version = @calendar_version
LIMIT @size::integer
FOR UPDATE SKIP LOCKED;

-- name: DeferClock :exec
UPDATE clocks SET next_step_time = @until::timestamptz WHERE id = @id AND stop_time IS NULL;

-- name: CheckClocks :exec
UPDATE clocks SET calendar_version = @calendar_version WHERE id = ANY(@ids::uuid[]);

-- name: InsertEntries :exec
INSERT INTO clock_log (clock_id, position, type, occur_time, record_time, actor, actor_kind, reason, step, role, scheduled_time, amount)
SELECT unnest(@clock_ids::uuid[]), unnest(@positions::bigint[]), unnest(@types::smallint[]), @occur_time::timestamptz,
  @record_time::timestamptz, @actor::text, @actor_kind::smallint, '', unnest(@steps::text[]), unnest(@roles::text[]),
  unnest(@scheduled_times::timestamptz[]), 0;

-- name: UpdateFired :exec
UPDATE clocks SET state = fired.state, next_step_time = NULLIF(fired.next_step_time, 'epoch'::timestamptz), version = fired.version,
  calendar_version = fired.calendar_version
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@states::smallint[]) AS state,
  unnest(@next_step_times::timestamptz[]) AS next_step_time, unnest(@versions::bigint[]) AS version,
  unnest(@calendar_versions::text[]) AS calendar_version) AS fired
WHERE clocks.id = fired.id;
