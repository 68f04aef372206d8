-- +goose Up
-- Agreements that a customer's tickets go by the standard of another tier. Rows are only added;
-- a later version takes the place of an earlier one from its start on, and one that ends with
-- its start ends the earlier ones.
CREATE TABLE standard_exceptions (
  id          uuid PRIMARY KEY,
  customer_id uuid NOT NULL,
  version     integer NOT NULL,
  tier        smallint NOT NULL,
  start_time  timestamptz NOT NULL,
  end_time    timestamptz NOT NULL,
  reason      text NOT NULL,
  create_time timestamptz NOT NULL,
  CONSTRAINT standard_exceptions_customer_id_version_key UNIQUE (customer_id, version),
  CONSTRAINT standard_exceptions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer_refs (id),
  CONSTRAINT standard_exceptions_end_time_check CHECK (end_time >= start_time)
);
CREATE INDEX standard_exceptions_customer_id_idx ON standard_exceptions (customer_id, id);

-- The exception that applies to a customer, and when that has to be looked at again; the tier
-- is null where only a later one is to come. A sweep keeps it, so that what reads it needs no
-- present time.
CREATE TABLE customer_standards (
  customer_id uuid PRIMARY KEY,
  tier        smallint,
  look_time   timestamptz NOT NULL,
  CONSTRAINT customer_standards_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer_refs (id)
);
CREATE INDEX customer_standards_look_time_idx ON customer_standards (look_time);

-- The tier whose standard a customer's tickets go by: that of an exception, else the customer's
-- own, of the survivor where the customer was merged, and C (1) for none.
-- +goose StatementBegin
CREATE FUNCTION standard_tier(wanted uuid) RETURNS smallint LANGUAGE sql STABLE AS $$
  WITH RECURSIVE way AS (
    SELECT c.id, c.tier, c.merged_into, 1 AS step FROM customer_refs c WHERE c.id = wanted
    UNION ALL
    SELECT c.id, c.tier, c.merged_into, way.step + 1 FROM way JOIN customer_refs c ON c.id = way.merged_into WHERE way.step < 32
  )
  SELECT COALESCE(
    (SELECT s.tier FROM way JOIN customer_standards s ON s.customer_id = way.id WHERE s.tier IS NOT NULL ORDER BY way.step DESC LIMIT 1),
    (SELECT GREATEST(tier, 1::smallint) FROM way ORDER BY step DESC LIMIT 1), 1::smallint)
$$;
-- +goose StatementEnd

-- As before, with exceptions. They are changed with the customer's row held, so a change comes
-- either before, and is seen here, or after, and finds the ticket.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION hold_service_tier(wanted uuid) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
  next_id uuid := wanted;
  known   smallint := 1;
  special smallint;
  found_one smallint;
  way     record;
BEGIN
  FOR step IN 1..32 LOOP
    EXIT WHEN next_id IS NULL;
    SELECT tier, merged_into INTO way FROM customer_refs WHERE id = next_id FOR SHARE;
    EXIT WHEN NOT FOUND;
    known := GREATEST(way.tier, 1::smallint);
    SELECT tier INTO found_one FROM customer_standards WHERE customer_id = next_id AND tier IS NOT NULL;
    IF FOUND THEN
      special := found_one;
    END IF;
    next_id := way.merged_into;
  END LOOP;
  RETURN COALESCE(special, known);
END
$$;
-- +goose StatementEnd

-- Requests for the standard of the next tier: 1 requested, 2 granted, 3 refused, 4 lapsed.
CREATE TABLE escalations (
  id               uuid PRIMARY KEY,
  ticket_id        uuid NOT NULL,
  state            smallint NOT NULL,
  reason           text NOT NULL,
  actor            text NOT NULL,
  by_customer      boolean NOT NULL,
  request_staff_id uuid,
  from_tier        smallint NOT NULL,
  to_tier          smallint NOT NULL,
  create_time      timestamptz NOT NULL,
  due_time         timestamptz NOT NULL,
  decide_staff_id  uuid,
  decide_time      timestamptz,
  decision_reason  text NOT NULL,
  CONSTRAINT escalations_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT escalations_request_staff_id_fkey FOREIGN KEY (request_staff_id) REFERENCES staff (id),
  CONSTRAINT escalations_decide_staff_id_fkey FOREIGN KEY (decide_staff_id) REFERENCES staff (id),
  CONSTRAINT escalations_decide_time_check CHECK ((state = 1) = (decide_time IS NULL))
);
CREATE INDEX escalations_ticket_id_idx ON escalations (ticket_id, id);
CREATE UNIQUE INDEX escalations_requested_idx ON escalations (ticket_id) WHERE state = 1;
CREATE INDEX escalations_due_time_idx ON escalations (due_time, id) WHERE state = 1;

-- The standard to which a ticket was raised, 0 for none.
CREATE FUNCTION raised_tier(wanted uuid) RETURNS smallint LANGUAGE sql STABLE AS $$
  SELECT COALESCE((SELECT max(to_tier) FROM escalations WHERE ticket_id = wanted AND state = 2), 0::smallint)
$$;

-- +goose Down
DROP FUNCTION raised_tier;
DROP TABLE escalations;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION hold_service_tier(wanted uuid) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
  next_id uuid := wanted;
  known   smallint := 1;
  way     record;
BEGIN
  FOR step IN 1..32 LOOP
    EXIT WHEN next_id IS NULL;
    SELECT tier, merged_into INTO way FROM customer_refs WHERE id = next_id FOR SHARE;
    EXIT WHEN NOT FOUND;
    known := GREATEST(way.tier, 1::smallint);
    next_id := way.merged_into;
  END LOOP;
  RETURN known;
END
$$;
-- +goose StatementEnd
DROP FUNCTION standard_tier;
DROP TABLE customer_standards, standard_exceptions;
