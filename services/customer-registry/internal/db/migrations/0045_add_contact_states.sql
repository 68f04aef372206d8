-- +goose Up
ALTER TABLE contacts
  -- Who added the person and where the first values came from: what field_states,
  -- kefu.customer.v1.FieldStates, does not say of a value.
  ADD COLUMN creator         text NOT NULL DEFAULT '',
  ADD COLUMN create_source   smallint NOT NULL DEFAULT 0,
  ADD COLUMN field_states    bytea,
  -- How many of phone and e-mail are verified, for the score of the file.
  ADD COLUMN verified_points smallint NOT NULL DEFAULT 0;
-- Definition 2 of the quality counts them. What has no contacts scores as before, and gets the
-- number of the definition with its next score.
UPDATE customer_quality SET rescore_time = 'epoch';

-- +goose Down
ALTER TABLE contacts DROP COLUMN creator, DROP COLUMN create_source, DROP COLUMN field_states, DROP COLUMN verified_points;
