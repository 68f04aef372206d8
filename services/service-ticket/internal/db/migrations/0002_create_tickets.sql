-- +goose Up
CREATE SEQUENCE ticket_numbers;

CREATE TABLE tickets (
  id                    uuid PRIMARY KEY,
  number                text NOT NULL,
  customer_id           uuid,
  channel               smallint NOT NULL,
  mode                  smallint NOT NULL,
  phase                 smallint NOT NULL,
  type                  smallint NOT NULL,
  priority              smallint NOT NULL,
  title                 text NOT NULL,
  description           text NOT NULL,
  product_model         text NOT NULL,
  serial_number         text NOT NULL,
  order_number          text NOT NULL,
  reporter_name         text NOT NULL,
  -- Whose key the reporter's phone and e-mail are under: the customer's, or that of the
  -- ticket itself. It stays when the customer is merged into another.
  reporter_subject_id   uuid NOT NULL,
  reporter_phone        bytea,
  reporter_phone_index  bytea,
  reporter_email        bytea,
  state                 smallint NOT NULL,
  round                 integer NOT NULL,
  department_id         uuid,
  assignee_staff_id     uuid,
  wait_for              smallint NOT NULL,
  resolution            text NOT NULL,
  merged_into           uuid,
  evidence_answer_id    uuid,
  evidence_question_key text NOT NULL,
  evidence_score        integer NOT NULL,
  evidence_ticket_id    uuid,
  evidence_complaint_id uuid,
  -- The event of another service that opened the ticket.
  origin_event_id       uuid,
  source                text,
  external_id           text,
  create_time           timestamptz NOT NULL,
  update_time           timestamptz NOT NULL,
  resolve_time          timestamptz,
  close_time            timestamptz,
  -- When silence closes the ticket; null while nothing runs.
  confirm_due           timestamptz,
  version               bigint NOT NULL,
  CONSTRAINT tickets_number_key UNIQUE (number),
  CONSTRAINT tickets_origin_event_id_key UNIQUE (origin_event_id),
  CONSTRAINT tickets_source_external_id_key UNIQUE (source, external_id),
  CONSTRAINT tickets_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer_refs (id),
  CONSTRAINT tickets_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id),
  CONSTRAINT tickets_assignee_staff_id_fkey FOREIGN KEY (assignee_staff_id) REFERENCES staff (id),
  CONSTRAINT tickets_merged_into_fkey FOREIGN KEY (merged_into) REFERENCES tickets (id),
  CONSTRAINT tickets_merged_into_check CHECK (merged_into <> id AND (merged_into IS NOT NULL) = (state = 9)),
  CONSTRAINT tickets_external_id_check CHECK ((source IS NULL) = (external_id IS NULL)),
  CONSTRAINT tickets_times_check CHECK (resolve_time >= create_time AND close_time >= resolve_time)
);
-- A list over several states reads the newest of each state and merges them.
CREATE INDEX tickets_state_idx ON tickets (state, id);
CREATE INDEX tickets_customer_id_idx ON tickets (customer_id, state, id) WHERE customer_id IS NOT NULL;
CREATE INDEX tickets_assignee_staff_id_idx ON tickets (assignee_staff_id, state, id) WHERE assignee_staff_id IS NOT NULL;
CREATE INDEX tickets_department_id_idx ON tickets (department_id, state, id) WHERE department_id IS NOT NULL;
CREATE INDEX tickets_reporter_phone_index_idx ON tickets (reporter_phone_index, id) WHERE reporter_phone_index IS NOT NULL;
CREATE INDEX tickets_source_idx ON tickets (source, id) WHERE source IS NOT NULL;
CREATE INDEX tickets_evidence_answer_id_idx ON tickets (evidence_answer_id, id) WHERE evidence_answer_id IS NOT NULL;
CREATE INDEX tickets_merged_into_idx ON tickets (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX tickets_confirm_due_idx ON tickets (confirm_due) WHERE confirm_due IS NOT NULL;

-- The customer for a new row: refused like an unknown one when merged into another, so
-- that whoever names it asks for the survivor.
-- +goose StatementBegin
CREATE FUNCTION live_customer(wanted uuid) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF wanted IS NULL OR EXISTS (SELECT FROM customer_refs WHERE id = wanted AND merged_into IS NULL) THEN
    RETURN wanted;
  END IF;
  RAISE EXCEPTION 'no such customer' USING
    ERRCODE = 'foreign_key_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_customer_id_fkey';
END
$$;
-- +goose StatementEnd

-- The tier of a customer, of the survivor where that one was merged; 0 for none. The
-- bound keeps a cycle of merges, which the registry refuses to make, from running on.
-- +goose StatementBegin
CREATE FUNCTION customer_tier(wanted uuid) RETURNS smallint LANGUAGE sql STABLE AS $$
  WITH RECURSIVE way AS (
    SELECT c.tier, c.merged_into, 1 AS step FROM customer_refs c WHERE c.id = wanted
    UNION ALL
    SELECT c.tier, c.merged_into, way.step + 1 FROM way JOIN customer_refs c ON c.id = way.merged_into WHERE way.step < 32
  )
  SELECT COALESCE((SELECT tier FROM way ORDER BY step DESC LIMIT 1), 0::smallint)
$$;
-- +goose StatementEnd

CREATE TABLE ticket_transitions (
  ticket_id         uuid NOT NULL,
  version           bigint NOT NULL,
  verb              text NOT NULL,
  from_state        smallint NOT NULL,
  to_state          smallint NOT NULL,
  round             integer NOT NULL,
  reason            text NOT NULL,
  actor             text NOT NULL,
  actor_kind        smallint NOT NULL,
  actor_staff_id    uuid,
  assignee_staff_id uuid,
  occur_time        timestamptz NOT NULL,
  PRIMARY KEY (ticket_id, version),
  CONSTRAINT ticket_transitions_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id)
);

CREATE TABLE comments (
  id              uuid PRIMARY KEY,
  ticket_id       uuid NOT NULL,
  body            text NOT NULL,
  public          boolean NOT NULL,
  author          text NOT NULL,
  author_kind     smallint NOT NULL,
  author_staff_id uuid,
  create_time     timestamptz NOT NULL,
  CONSTRAINT comments_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id)
);
CREATE INDEX comments_ticket_id_idx ON comments (ticket_id, id);
CREATE INDEX comments_public_idx ON comments (ticket_id, id) WHERE public;

-- +goose Down
DROP TABLE comments;
DROP TABLE ticket_transitions;
DROP FUNCTION customer_tier;
DROP FUNCTION live_customer;
DROP TABLE tickets;
DROP SEQUENCE ticket_numbers;
