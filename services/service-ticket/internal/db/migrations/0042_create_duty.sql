-- +goose Up
CREATE TABLE duty_rosters (
  id            uuid PRIMARY KEY,
  code          text NOT NULL,
  name_zh       text NOT NULL,
  name_en       text NOT NULL,
  department_id uuid,
  calendar_id   text NOT NULL,
  closed        boolean NOT NULL,
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  version       bigint NOT NULL,
  CONSTRAINT duty_rosters_code_key UNIQUE (code),
  CONSTRAINT duty_rosters_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id),
  CONSTRAINT duty_rosters_calendar_id_fkey FOREIGN KEY (calendar_id) REFERENCES calendars (id)
);

CREATE TABLE duty_shifts (
  id          uuid PRIMARY KEY,
  roster_id   uuid NOT NULL,
  staff_id    uuid NOT NULL,
  start_time  timestamptz NOT NULL,
  end_time    timestamptz NOT NULL,
  create_time timestamptz NOT NULL,
  CONSTRAINT duty_shifts_roster_id_fkey FOREIGN KEY (roster_id) REFERENCES duty_rosters (id),
  CONSTRAINT duty_shifts_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id),
  CONSTRAINT duty_shifts_times_check CHECK (end_time > start_time AND end_time <= start_time + interval '31 days')
);
-- A shift is at most 31 days long, so that those of a time begin in the 31 days before it.
CREATE INDEX duty_shifts_roster_id_idx ON duty_shifts (roster_id, start_time, id);

-- Gaps that were told of.
CREATE TABLE duty_gaps (
  roster_id  uuid NOT NULL,
  start_time timestamptz NOT NULL,
  end_time   timestamptz NOT NULL,
  find_time  timestamptz NOT NULL,
  PRIMARY KEY (roster_id, end_time, start_time),
  CONSTRAINT duty_gaps_roster_id_fkey FOREIGN KEY (roster_id) REFERENCES duty_rosters (id)
);

-- +goose Down
DROP TABLE duty_gaps;
DROP TABLE duty_shifts;
DROP TABLE duty_rosters;
