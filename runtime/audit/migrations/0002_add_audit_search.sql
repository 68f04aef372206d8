-- +goose Up
-- The customer whom a change concerns; the MAC of a record that has one covers it.
ALTER TABLE audit_records ADD COLUMN customer_id uuid;

-- What auditors search by. The sequencer fills it together with the links, because an index
-- on audit_records would be paid by every write. It holds nothing that the records do not
-- hold, and the check of the chain compares the two.
CREATE TABLE audit_search (
  position     bigint      PRIMARY KEY,
  audit_id     uuid        NOT NULL,
  time         timestamptz NOT NULL,
  actor        text        NOT NULL,
  action       text        NOT NULL,
  object_id    uuid        NOT NULL,
  customer_id  uuid,
  access_right text        NOT NULL
);

INSERT INTO audit_search (position, audit_id, time, actor, action, object_id, access_right)
SELECT c.position, r.id, r.time, r.actor, r.action, r.object_id, r.access_right
FROM audit_chain AS c JOIN audit_records AS r ON r.id = c.audit_id ORDER BY c.position;

CREATE INDEX audit_search_time_idx ON audit_search (time, position);
CREATE INDEX audit_search_actor_idx ON audit_search (actor, time, position);
CREATE INDEX audit_search_action_idx ON audit_search (action, time, position);
CREATE INDEX audit_search_object_id_idx ON audit_search (object_id, time, position);
CREATE INDEX audit_search_customer_id_idx ON audit_search (customer_id, time, position) WHERE customer_id IS NOT NULL;
CREATE INDEX audit_search_access_right_idx ON audit_search (access_right, time, position);

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit_search FROM %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_search;
ALTER TABLE audit_records DROP COLUMN customer_id;
