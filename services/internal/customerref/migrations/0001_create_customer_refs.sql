-- +goose Up
-- What this service keeps of customers: no personal data. Filled from the
-- customer registry's events, and at once when a request names a customer
-- whose event has not come yet.
CREATE TABLE customer_refs (
  id                      uuid PRIMARY KEY,
  number                  text NOT NULL,
  kind                    smallint NOT NULL,
  tier                    smallint NOT NULL,
  region                  text NOT NULL,
  status                  smallint NOT NULL,
  owner_staff_id          uuid,
  -- Not a foreign key: the survivor's own event may come later.
  merged_into             uuid,
  service_quality_consent boolean NOT NULL,
  language                text NOT NULL,
  version                 bigint NOT NULL,
  CONSTRAINT customer_refs_merged_into_check CHECK (merged_into <> id)
);

-- +goose Down
DROP TABLE customer_refs;
