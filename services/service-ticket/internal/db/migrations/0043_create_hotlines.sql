-- +goose Up
CREATE TABLE hotlines (
  id             uuid PRIMARY KEY,
  number         text NOT NULL,
  name_zh        text NOT NULL,
  name_en        text NOT NULL,
  hours          smallint NOT NULL,
  purpose        smallint NOT NULL,
  line           smallint NOT NULL,
  owner_staff_id uuid NOT NULL,
  -- When it was taken out of service: a change like others, so that the row stays.
  delete_time    timestamptz,
  create_time    timestamptz NOT NULL,
  update_time    timestamptz NOT NULL,
  version        bigint NOT NULL,
  CONSTRAINT hotlines_owner_staff_id_fkey FOREIGN KEY (owner_staff_id) REFERENCES staff (id)
);
CREATE UNIQUE INDEX hotlines_number_key ON hotlines (number) WHERE delete_time IS NULL;

CREATE TABLE hotline_publications (
  version      integer PRIMARY KEY,
  -- What events and audit records call the publication: their subjects are UUIDs.
  subject_id   uuid NOT NULL,
  publish_time timestamptz NOT NULL,
  -- kefu.ticket.v1.HotlinePublication
  content      bytea NOT NULL
);

-- Reasons for which a publication was told to be overdue.
CREATE TABLE hotline_reminders (
  version     integer NOT NULL,
  reason      smallint NOT NULL,
  remind_time timestamptz NOT NULL,
  PRIMARY KEY (version, reason)
);

-- +goose Down
DROP TABLE hotline_reminders;
DROP TABLE hotline_publications;
DROP TABLE hotlines;
