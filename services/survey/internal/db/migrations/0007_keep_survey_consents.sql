-- +goose Up
-- The last decision of a customer on surveys that no service caused, by the version of the
-- file it made. No row: none was heard of here. The registry is asked before an invitation is
-- made; this is for the withdrawal that comes while it is made.
CREATE TABLE survey_consents (
  customer_id uuid PRIMARY KEY CONSTRAINT survey_consents_customer_id_fkey REFERENCES customer_refs,
  granted     boolean NOT NULL,
  version     bigint NOT NULL
);

-- +goose Down
DROP TABLE survey_consents;
