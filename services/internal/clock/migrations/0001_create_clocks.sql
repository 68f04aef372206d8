-- +goose Up
-- Calendars as clocks were computed with them, so that a receipt can be made again.
CREATE TABLE clock_calendars (
  calendar_id text NOT NULL,
  version     text NOT NULL,
  definition  jsonb NOT NULL,
  CONSTRAINT clock_calendars_pkey PRIMARY KEY (calendar_id, version)
);

-- A cache of what clock_log comes to; everything in it can be made again from there.
CREATE TABLE clocks (
  id                  uuid PRIMARY KEY,
  subject_type        text NOT NULL,
  subject_id          uuid NOT NULL,
  kind                text NOT NULL,
  round               integer NOT NULL,
  state               smallint NOT NULL,
  owner_role          text NOT NULL,
  owner_staff_id      uuid,
  owner_department_id uuid,
  calendar_id         text NOT NULL,
  -- The version of the calendar that the clock has been checked against. That of its terms
  -- is an older one where a change of the calendar did not concern it.
  calendar_version    text NOT NULL,
  policy_id           uuid,
  policy_version      bigint NOT NULL,
  clause_id           text NOT NULL,
  -- In nanoseconds.
  target              bigint NOT NULL,
  start_time          timestamptz NOT NULL,
  due_time            timestamptz,
  stop_time           timestamptz,
  -- When a step or the miss is to fire; null where nothing is.
  next_step_time      timestamptz,
  -- Position of the log's last entry.
  version             bigint NOT NULL,
  CONSTRAINT clocks_next_step_time_check CHECK (next_step_time IS NULL OR stop_time IS NULL)
) WITH (
  -- A sweep over a backlog leaves as many dead rows as it fires, and the next one must not
  -- walk over them.
  fillfactor = 85,
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 5000
);
CREATE INDEX clocks_subject_id_idx ON clocks (subject_id, id);
CREATE UNIQUE INDEX clocks_subject_id_kind_round_key ON clocks (subject_id, kind, round) WHERE stop_time IS NULL;
CREATE INDEX clocks_next_step_time_idx ON clocks (next_step_time) WHERE next_step_time IS NOT NULL;
CREATE INDEX clocks_calendar_id_idx ON clocks (calendar_id, calendar_version) WHERE stop_time IS NULL;
-- What somebody is to keep, soonest first.
CREATE INDEX clocks_owner_staff_id_idx ON clocks (owner_staff_id, due_time) WHERE stop_time IS NULL AND owner_staff_id IS NOT NULL;

CREATE TABLE clock_log (
  clock_id       uuid NOT NULL,
  position       bigint NOT NULL,
  type           smallint NOT NULL,
  occur_time     timestamptz NOT NULL,
  record_time    timestamptz NOT NULL,
  actor          text NOT NULL,
  actor_kind     smallint NOT NULL,
  reason         text NOT NULL,
  terms          jsonb,
  owner          jsonb,
  step           text NOT NULL,
  role           text NOT NULL,
  scheduled_time timestamptz,
  -- Of an extension, in nanoseconds.
  amount         bigint NOT NULL,
  CONSTRAINT clock_log_pkey PRIMARY KEY (clock_id, position),
  CONSTRAINT clock_log_clock_id_fkey FOREIGN KEY (clock_id) REFERENCES clocks (id)
);

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON clock_log, clock_calendars FROM %I', current_setting('kefu.run_role'));
  EXECUTE format('REVOKE DELETE, TRUNCATE ON clocks FROM %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE clock_log, clocks, clock_calendars;
