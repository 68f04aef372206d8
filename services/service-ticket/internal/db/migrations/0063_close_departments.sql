-- +goose Up
ALTER TABLE departments
  ADD COLUMN close_time timestamptz,
  ADD COLUMN successor_id uuid,
  ADD CONSTRAINT departments_successor_id_fkey FOREIGN KEY (successor_id) REFERENCES departments (id),
  ADD CONSTRAINT departments_successor_id_check CHECK (successor_id <> id AND (close_time IS NOT NULL OR successor_id IS NULL));

-- The department that does by now what one did: itself while it is open, else its successor's;
-- null for none. Bounded as customer_tier.
-- +goose StatementBegin
CREATE FUNCTION open_department(wanted uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
  WITH RECURSIVE way AS (
    SELECT d.id, d.close_time, d.successor_id, 1 AS step FROM departments d WHERE d.id = wanted
    UNION ALL
    SELECT d.id, d.close_time, d.successor_id, way.step + 1
    FROM way JOIN departments d ON d.id = way.successor_id WHERE way.close_time IS NOT NULL AND way.step < 32
  )
  SELECT id FROM way WHERE close_time IS NULL LIMIT 1
$$;
-- +goose StatementEnd

-- Nothing new comes to a closed department: it is refused like an unknown one. The lock is that
-- of the foreign key, which whoever closes a department waits for and keeps out.
-- +goose StatementBegin
CREATE FUNCTION require_open_department() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM departments WHERE id = NEW.department_id AND close_time IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such open department' USING
      ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_ARGV[0];
  END IF;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION require_open_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM departments WHERE id = NEW.parent_id AND close_time IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such open department' USING
      ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'departments_parent_id_fkey';
  END IF;
  RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER tickets_open_insert_trigger BEFORE INSERT ON tickets FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND NEW.state <= 5) EXECUTE FUNCTION require_open_department('tickets_department_id_fkey');
CREATE TRIGGER tickets_open_update_trigger BEFORE UPDATE OF department_id, state ON tickets FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND NEW.state <= 5 AND (OLD.department_id IS DISTINCT FROM NEW.department_id OR OLD.state > 5)) EXECUTE FUNCTION require_open_department('tickets_department_id_fkey');
CREATE TRIGGER staff_open_insert_trigger BEFORE INSERT ON staff FOR EACH ROW
  WHEN (NEW.status <> 5) EXECUTE FUNCTION require_open_department('staff_department_id_fkey');
CREATE TRIGGER staff_open_update_trigger BEFORE UPDATE OF department_id, status ON staff FOR EACH ROW
  WHEN (NEW.status <> 5 AND (OLD.department_id <> NEW.department_id OR OLD.status = 5)) EXECUTE FUNCTION require_open_department('staff_department_id_fkey');
CREATE TRIGGER tasks_open_insert_trigger BEFORE INSERT ON tasks FOR EACH ROW
  WHEN (NEW.state = 1) EXECUTE FUNCTION require_open_department('tasks_department_id_fkey');
CREATE TRIGGER tasks_open_update_trigger BEFORE UPDATE OF department_id ON tasks FOR EACH ROW
  WHEN (NEW.state = 1 AND OLD.department_id <> NEW.department_id) EXECUTE FUNCTION require_open_department('tasks_department_id_fkey');
CREATE TRIGGER routes_open_insert_trigger BEFORE INSERT ON routes FOR EACH ROW EXECUTE FUNCTION require_open_department('routes_department_id_fkey');
CREATE TRIGGER routes_open_update_trigger BEFORE UPDATE OF department_id ON routes FOR EACH ROW
  WHEN (OLD.department_id <> NEW.department_id) EXECUTE FUNCTION require_open_department('routes_department_id_fkey');
CREATE TRIGGER stations_open_insert_trigger BEFORE INSERT ON stations FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND NOT NEW.closed) EXECUTE FUNCTION require_open_department('stations_department_id_fkey');
CREATE TRIGGER stations_open_update_trigger BEFORE UPDATE OF department_id, closed ON stations FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND NOT NEW.closed AND (OLD.department_id IS DISTINCT FROM NEW.department_id OR OLD.closed)) EXECUTE FUNCTION require_open_department('stations_department_id_fkey');
CREATE TRIGGER duty_rosters_open_insert_trigger BEFORE INSERT ON duty_rosters FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND NOT NEW.closed) EXECUTE FUNCTION require_open_department('duty_rosters_department_id_fkey');
CREATE TRIGGER duty_rosters_open_update_trigger BEFORE UPDATE OF department_id, closed ON duty_rosters FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND NOT NEW.closed AND (OLD.department_id IS DISTINCT FROM NEW.department_id OR OLD.closed)) EXECUTE FUNCTION require_open_department('duty_rosters_department_id_fkey');
CREATE TRIGGER canned_answers_open_insert_trigger BEFORE INSERT ON canned_answers FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL) EXECUTE FUNCTION require_open_department('canned_answers_department_id_fkey');
CREATE TRIGGER canned_answers_open_update_trigger BEFORE UPDATE OF department_id ON canned_answers FOR EACH ROW
  WHEN (NEW.department_id IS NOT NULL AND OLD.department_id IS DISTINCT FROM NEW.department_id) EXECUTE FUNCTION require_open_department('canned_answers_department_id_fkey');
CREATE TRIGGER fault_notices_open_insert_trigger BEFORE INSERT ON fault_notices FOR EACH ROW EXECUTE FUNCTION require_open_department('fault_notices_department_id_fkey');
CREATE TRIGGER departments_open_insert_trigger BEFORE INSERT ON departments FOR EACH ROW
  WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION require_open_parent();
CREATE TRIGGER departments_open_update_trigger BEFORE UPDATE OF parent_id, close_time ON departments FOR EACH ROW
  WHEN (NEW.parent_id IS NOT NULL AND NEW.close_time IS NULL AND (OLD.parent_id IS DISTINCT FROM NEW.parent_id OR OLD.close_time IS NOT NULL))
  EXECUTE FUNCTION require_open_parent();

-- +goose Down
DROP TRIGGER departments_open_update_trigger ON departments;
DROP TRIGGER departments_open_insert_trigger ON departments;
DROP TRIGGER fault_notices_open_insert_trigger ON fault_notices;
DROP TRIGGER canned_answers_open_update_trigger ON canned_answers;
DROP TRIGGER canned_answers_open_insert_trigger ON canned_answers;
DROP TRIGGER duty_rosters_open_update_trigger ON duty_rosters;
DROP TRIGGER duty_rosters_open_insert_trigger ON duty_rosters;
DROP TRIGGER stations_open_update_trigger ON stations;
DROP TRIGGER stations_open_insert_trigger ON stations;
DROP TRIGGER routes_open_update_trigger ON routes;
DROP TRIGGER routes_open_insert_trigger ON routes;
DROP TRIGGER tasks_open_update_trigger ON tasks;
DROP TRIGGER tasks_open_insert_trigger ON tasks;
DROP TRIGGER staff_open_update_trigger ON staff;
DROP TRIGGER staff_open_insert_trigger ON staff;
DROP TRIGGER tickets_open_update_trigger ON tickets;
DROP TRIGGER tickets_open_insert_trigger ON tickets;
DROP FUNCTION require_open_parent;
DROP FUNCTION require_open_department;
DROP FUNCTION open_department;
ALTER TABLE departments DROP COLUMN successor_id, DROP COLUMN close_time;
