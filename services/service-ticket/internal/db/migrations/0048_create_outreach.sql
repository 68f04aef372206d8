-- +goose Up
-- What the registry tells of installed products: whose they are.
CREATE TABLE installed_products (
  id            uuid PRIMARY KEY,
  customer_id   uuid NOT NULL,
  -- In lower case.
  product_model text NOT NULL,
  serial_number text COLLATE "C" NOT NULL,
  version       bigint NOT NULL
);
CREATE INDEX installed_products_product_model_idx ON installed_products (product_model, customer_id, serial_number);

CREATE TABLE fault_notices (
  id            uuid PRIMARY KEY,
  product_model text NOT NULL,
  -- Both '' for all of the model.
  serial_from   text COLLATE "C" NOT NULL,
  serial_to     text COLLATE "C" NOT NULL,
  title         text NOT NULL,
  description   text NOT NULL,
  priority      smallint NOT NULL,
  department_id uuid NOT NULL,
  -- The last customer that was looked at.
  cursor        uuid NOT NULL,
  found_time    timestamptz,
  create_time   timestamptz NOT NULL,
  CONSTRAINT fault_notices_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id)
);
CREATE INDEX fault_notices_unfound_idx ON fault_notices (id) WHERE found_time IS NULL;

CREATE TABLE fault_contacts (
  notice_id     uuid NOT NULL,
  customer_id   uuid NOT NULL,
  serial_number text NOT NULL,
  ticket_id     uuid NOT NULL,
  PRIMARY KEY (notice_id, customer_id),
  CONSTRAINT fault_contacts_notice_id_fkey FOREIGN KEY (notice_id) REFERENCES fault_notices (id),
  CONSTRAINT fault_contacts_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id)
);

-- 1 work, 2 a call-back.
ALTER TABLE tasks ADD COLUMN kind smallint NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE tasks DROP COLUMN kind;
DROP TABLE fault_contacts, fault_notices, installed_products;
