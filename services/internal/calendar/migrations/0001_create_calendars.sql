-- +goose Up
-- What this service keeps of the business calendars, from the events of service-ticket,
-- which owns them. The owner's table has these columns too.
CREATE TABLE calendars (
  id          text PRIMARY KEY,
  -- One calendar's at the owner; here the events of two may cross.
  is_default  boolean NOT NULL,
  version     bigint NOT NULL,
  update_time timestamptz NOT NULL,
  -- kefu.calendar.v1.Calendar
  definition  bytea NOT NULL
);

-- +goose Down
DROP TABLE calendars;
