-- +goose Up
ALTER TABLE customers
  -- Custom attributes by key: texts, choices and dates as strings, numbers, booleans.
  ADD COLUMN attributes           jsonb NOT NULL DEFAULT '{}',
  -- kefu.customer.v1.Needs; free text, overwritten by erasure.
  ADD COLUMN needs                bytea,
  -- kefu.customer.v1.Credit, encrypted under the customer's key.
  ADD COLUMN credit               bytea,
  ADD COLUMN relationship         text NOT NULL DEFAULT '',
  ADD COLUMN responsible_staff_id uuid,
  ADD COLUMN update_interval_days integer NOT NULL DEFAULT 180,
  ADD COLUMN review_due_time      timestamptz NOT NULL DEFAULT now() + interval '180 days',
  ADD COLUMN retire_reason        text NOT NULL DEFAULT '',
  ADD COLUMN retire_time          timestamptz,
  -- Who opened the file and where its first values came from: what field_states,
  -- kefu.customer.v1.FieldStates, does not say of a value.
  ADD COLUMN creator              text NOT NULL DEFAULT '',
  ADD COLUMN create_source        smallint NOT NULL DEFAULT 0,
  ADD COLUMN field_states         bytea,
  ADD CONSTRAINT customers_update_interval_days_check CHECK (update_interval_days BETWEEN 1 AND 3650);
UPDATE customers SET review_due_time = update_time + interval '180 days';
-- What is to be reviewed, the longest overdue first.
CREATE INDEX customers_review_due_time_idx ON customers (review_due_time, id) WHERE status = 1;
CREATE INDEX customers_responsible_staff_id_idx ON customers (responsible_staff_id, review_due_time, id)
  WHERE status = 1 AND responsible_staff_id IS NOT NULL;

ALTER TABLE contacts
  ADD COLUMN preferred_channel smallint NOT NULL DEFAULT 0,
  -- google.type.Date, encrypted under the contact's key.
  ADD COLUMN birthday          bytea;

-- One row a value that was changed, both values encrypted under the key of the contact or the
-- customer.
CREATE TABLE customer_changes (
  id          uuid PRIMARY KEY,
  customer_id uuid NOT NULL CONSTRAINT customer_changes_customer_id_fkey REFERENCES customers,
  contact_id  uuid CONSTRAINT customer_changes_contact_id_fkey REFERENCES contacts,
  version     bigint NOT NULL,
  field       text NOT NULL,
  change_time timestamptz NOT NULL,
  actor       text NOT NULL,
  source      smallint NOT NULL,
  before      bytea,
  after       bytea
);
CREATE INDEX customer_changes_customer_id_idx ON customer_changes (customer_id, id DESC);
CREATE INDEX customer_changes_contact_id_idx ON customer_changes (contact_id) WHERE contact_id IS NOT NULL;

CREATE TABLE attribute_definitions (
  id          uuid PRIMARY KEY,
  key         text NOT NULL CONSTRAINT attribute_definitions_key_key UNIQUE,
  -- kefu.customer.v1.AttributeDefinition, what a caller may set of it.
  definition  bytea NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  version     bigint NOT NULL
);

CREATE TABLE maintenance_plans (
  lifecycle             smallint PRIMARY KEY,
  actions               text[] NOT NULL,
  contact_interval_days integer NOT NULL,
  update_time           timestamptz NOT NULL,
  version               bigint NOT NULL
);
INSERT INTO maintenance_plans (lifecycle, actions, contact_interval_days, update_time, version) VALUES
  (1, '{"了解需求并记录痛点","提供产品资料与案例","约定首次拜访或试用"}', 30, now(), 1),
  (2, '{"交付后一周内回访","核对资料与联系人","说明服务渠道与保修条款"}', 30, now(), 1),
  (3, '{"定期回访并更新资料","每年满意度调查","评估增购与升级需求"}', 90, now(), 1),
  (4, '{"了解流失原因","提出挽回方案","约定下次联系时间"}', 180, now(), 1);

-- +goose Down
DROP TABLE maintenance_plans, attribute_definitions, customer_changes;
ALTER TABLE contacts DROP COLUMN preferred_channel, DROP COLUMN birthday;
ALTER TABLE customers DROP COLUMN attributes, DROP COLUMN needs, DROP COLUMN credit, DROP COLUMN relationship,
  DROP COLUMN responsible_staff_id, DROP COLUMN update_interval_days, DROP COLUMN review_due_time,
  DROP COLUMN retire_reason, DROP COLUMN retire_time, DROP COLUMN creator, DROP COLUMN create_source,
  DROP COLUMN field_states;
