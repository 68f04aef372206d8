-- +goose Up
-- kefu.customer.v1.PointQuality of a phone or e-mail that is none and was kept as it was given;
-- 0 for a valid one and for none.
ALTER TABLE customers
  ADD COLUMN phone_quality smallint NOT NULL DEFAULT 0,
  ADD COLUMN email_quality smallint NOT NULL DEFAULT 0;
ALTER TABLE contacts
  ADD COLUMN phone_quality smallint NOT NULL DEFAULT 0,
  ADD COLUMN email_quality smallint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE contacts DROP COLUMN phone_quality, DROP COLUMN email_quality;
ALTER TABLE customers DROP COLUMN phone_quality, DROP COLUMN email_quality;
