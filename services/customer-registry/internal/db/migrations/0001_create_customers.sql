-- +goose Up
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE SEQUENCE customer_numbers;

CREATE TABLE customers (
  id                      uuid PRIMARY KEY,
  number                  text NOT NULL CONSTRAINT customers_number_key UNIQUE,
  name                    text NOT NULL,
  kind                    smallint NOT NULL,
  party                   smallint NOT NULL,
  classification_code     text NOT NULL,
  industry                text NOT NULL,
  region                  text NOT NULL,
  source_channel          text NOT NULL,
  owner_staff_id          uuid,
  tags                    text[] NOT NULL,
  lifecycle               smallint NOT NULL,
  tier                    smallint NOT NULL,
  tier_reason             text NOT NULL,
  tier_end_time           timestamptz,
  status                  smallint NOT NULL,
  language                text NOT NULL,
  service_quality_consent boolean NOT NULL,
  merged_into             uuid CONSTRAINT customers_merged_into_fkey REFERENCES customers,
  -- Encrypted under the customer's key, with a blind index beside what is searched.
  address                 bytea,
  phone                   bytea,
  phone_index             bytea,
  phone_last4_index       bytea,
  email                   bytea,
  email_index             bytea,
  -- Where an imported file came from.
  source                  text,
  external_id             text,
  create_time             timestamptz NOT NULL,
  update_time             timestamptz NOT NULL,
  version                 bigint NOT NULL,
  CONSTRAINT customers_source_external_id_key UNIQUE (source, external_id),
  CONSTRAINT customers_source_check CHECK ((source IS NULL) = (external_id IS NULL)),
  CONSTRAINT customers_merged_into_check CHECK (merged_into <> id),
  CONSTRAINT customers_phone_check CHECK ((phone IS NULL) = (phone_index IS NULL)),
  CONSTRAINT customers_email_check CHECK ((email IS NULL) = (email_index IS NULL))
);
CREATE INDEX customers_phone_index_idx ON customers (phone_index) WHERE phone_index IS NOT NULL;
CREATE INDEX customers_phone_last4_index_idx ON customers (phone_last4_index) WHERE phone_last4_index IS NOT NULL;
CREATE INDEX customers_email_index_idx ON customers (email_index) WHERE email_index IS NOT NULL;
-- What the sweep of ended tiers reads: overrides only, the earliest first.
CREATE INDEX customers_tier_end_time_idx ON customers (tier_end_time) WHERE tier_end_time IS NOT NULL;

-- Each decision is kept, with the version of the file it made: the newest of a
-- purpose is in force.
CREATE TABLE consents (
  customer_id     uuid NOT NULL CONSTRAINT consents_customer_id_fkey REFERENCES customers,
  purpose         smallint NOT NULL,
  granted         boolean NOT NULL,
  decide_time     timestamptz NOT NULL,
  channel         smallint NOT NULL,
  wording_version text NOT NULL,
  version         bigint NOT NULL,
  CONSTRAINT consents_pkey PRIMARY KEY (customer_id, purpose, version)
);

CREATE TABLE contacts (
  id                uuid PRIMARY KEY,
  customer_id       uuid NOT NULL CONSTRAINT contacts_customer_id_fkey REFERENCES customers,
  name              text NOT NULL,
  decision_role     smallint NOT NULL,
  language          text NOT NULL,
  -- Encrypted under the contact's key.
  phone             bytea,
  phone_index       bytea,
  phone_last4_index bytea,
  email             bytea,
  email_index       bytea,
  create_time       timestamptz NOT NULL,
  update_time       timestamptz NOT NULL,
  delete_time       timestamptz,
  version           bigint NOT NULL,
  CONSTRAINT contacts_phone_check CHECK ((phone IS NULL) = (phone_index IS NULL)),
  CONSTRAINT contacts_email_check CHECK ((email IS NULL) = (email_index IS NULL)),
  CONSTRAINT contacts_delete_time_check CHECK (delete_time IS NULL OR (name = '' AND phone IS NULL AND email IS NULL))
);
CREATE INDEX contacts_customer_id_idx ON contacts (customer_id, id) WHERE delete_time IS NULL;
CREATE INDEX contacts_phone_index_idx ON contacts (phone_index) WHERE phone_index IS NOT NULL;
CREATE INDEX contacts_phone_last4_index_idx ON contacts (phone_last4_index) WHERE phone_last4_index IS NOT NULL;
CREATE INDEX contacts_email_index_idx ON contacts (email_index) WHERE email_index IS NOT NULL;

-- +goose Down
DROP TABLE contacts, consents, customers;
DROP SEQUENCE customer_numbers;
