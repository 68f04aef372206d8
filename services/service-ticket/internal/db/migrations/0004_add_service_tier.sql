-- +goose Up
-- The tier by whose standard the ticket's clocks run; 0 for a ticket without clocks.
ALTER TABLE tickets ADD COLUMN service_tier smallint NOT NULL DEFAULT 0;

-- Follows merges of customers down to those whose tickets a change concerns.
CREATE INDEX customer_refs_merged_into_idx ON customer_refs (merged_into) WHERE merged_into IS NOT NULL;

-- The tier that the clocks of a customer's ticket run by: that of the survivor where the
-- customer was merged, and C (1) for none. It holds the customer, so that a change of tier
-- comes either before, and is seen here, or after, and finds the ticket.
-- +goose StatementBegin
CREATE FUNCTION hold_service_tier(wanted uuid) RETURNS smallint LANGUAGE plpgsql AS $$
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

-- Refuses a ticket whose clocks were made ready for another tier than its customer has, so
-- that they are made ready again.
-- +goose StatementBegin
CREATE FUNCTION require_service_tier(wanted uuid, expected smallint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF hold_service_tier(wanted) <> expected THEN
    RAISE EXCEPTION 'the customer has another tier' USING
      ERRCODE = 'check_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_service_tier_check';
  END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION require_service_tier;
DROP FUNCTION hold_service_tier;
DROP INDEX customer_refs_merged_into_idx;
ALTER TABLE tickets DROP COLUMN service_tier;
