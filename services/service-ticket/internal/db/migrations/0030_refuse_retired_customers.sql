-- +goose Up
-- Refuses a ticket whose clocks were made ready for another tier than its customer has, so
-- that they are made ready again, and one of a customer whose file is retired. The row of the
-- customer is held, so a retirement comes either before, and is seen here, or after.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION require_service_tier(wanted uuid, expected smallint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF hold_service_tier(wanted) <> expected THEN
    RAISE EXCEPTION 'the customer has another tier' USING
      ERRCODE = 'check_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_service_tier_check';
  END IF;
  IF EXISTS (SELECT FROM customer_refs WHERE id = wanted AND status = 2) THEN
    RAISE EXCEPTION 'the file of the customer is retired' USING
      ERRCODE = 'check_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_customer_retired_check';
  END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION require_service_tier(wanted uuid, expected smallint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF hold_service_tier(wanted) <> expected THEN
    RAISE EXCEPTION 'the customer has another tier' USING
      ERRCODE = 'check_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_service_tier_check';
  END IF;
END
$$;
-- +goose StatementEnd
