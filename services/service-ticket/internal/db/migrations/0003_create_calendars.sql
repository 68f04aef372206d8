-- +goose Up
-- The columns of the copies that other services keep, and those of the owner.
CREATE TABLE calendars (
  id          text PRIMARY KEY,
  -- What events and audit records call the calendar: their subjects are UUIDs.
  subject_id  uuid NOT NULL,
  is_default  boolean NOT NULL,
  -- kefu.calendar.v1.Calendar
  definition  bytea NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  version     bigint NOT NULL,
  CONSTRAINT calendars_subject_id_key UNIQUE (subject_id)
);
CREATE UNIQUE INDEX calendars_is_default_key ON calendars (is_default) WHERE is_default;

-- +goose Down
DROP TABLE calendars;
