-- +goose Up
ALTER TABLE staff
  -- Null is the default calendar.
  ADD COLUMN calendar_id text,
  -- One certificate an element; a last day of 9999-12-31 is none.
  ADD COLUMN certificate_names text[] NOT NULL DEFAULT '{}',
  ADD COLUMN certificate_expiries date[] NOT NULL DEFAULT '{}',
  ADD CONSTRAINT staff_calendar_id_fkey FOREIGN KEY (calendar_id) REFERENCES calendars (id),
  ADD CONSTRAINT staff_certificates_check CHECK (cardinality(certificate_names) = cardinality(certificate_expiries));

-- +goose Down
ALTER TABLE staff DROP COLUMN calendar_id, DROP COLUMN certificate_names, DROP COLUMN certificate_expiries;
