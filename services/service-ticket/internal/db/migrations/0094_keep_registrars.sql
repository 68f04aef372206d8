-- +goose NO TRANSACTION
-- +goose Up
-- Who registered a ticket reaches it, and only the first line of its history said who that is. The
-- ticket says it too, and the index with it whether somebody reaches it for another reason, so that
-- a list of what somebody reaches finds no ticket twice. Each step may be done again.
ALTER TABLE tickets ADD COLUMN IF NOT EXISTS registrar text NOT NULL DEFAULT '';

-- For replicas of the release before, which do not give it, and which list by
-- ticket_transitions_registrar_idx. The release after this one has no need of either.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION keep_registrar() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tickets SET registrar = NEW.actor WHERE id = NEW.ticket_id AND registrar = '';
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER ticket_transitions_registrar_trigger AFTER INSERT ON ticket_transitions
  FOR EACH ROW WHEN (NEW.version = 1) EXECUTE FUNCTION keep_registrar();

-- Two thousand at a time, so that nobody waits long for one of them.
-- +goose StatementBegin
DO $$
DECLARE
  done uuid;
  upto uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
  LOOP
    done := upto;
    SELECT id INTO upto FROM (SELECT id FROM tickets WHERE id > done ORDER BY id LIMIT 2000) t ORDER BY id DESC LIMIT 1;
    EXIT WHEN upto IS NULL;
    UPDATE tickets t SET registrar = r.actor FROM ticket_transitions r
    WHERE t.id > done AND t.id <= upto AND t.registrar = '' AND r.ticket_id = t.id AND r.version = 1;
    COMMIT;
  END LOOP;
END
$$;
-- +goose StatementEnd
-- What an attempt that ended left of it is no index.
DROP INDEX CONCURRENTLY IF EXISTS tickets_registrar_idx;
CREATE INDEX CONCURRENTLY tickets_registrar_idx ON tickets (registrar, id) INCLUDE (assignee_staff_id, department_id, state);

-- +goose Down
DROP INDEX IF EXISTS tickets_registrar_idx;
DROP TRIGGER IF EXISTS ticket_transitions_registrar_trigger ON ticket_transitions;
DROP FUNCTION IF EXISTS keep_registrar;
ALTER TABLE tickets DROP COLUMN IF EXISTS registrar;
