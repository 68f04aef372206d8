-- +goose Up
-- All terms stand in the index with their span of 65,536, and of digits the fours too: the newest with
-- a text are found span by span, without looking through all that an index knows a term by.
-- +goose StatementBegin
CREATE FUNCTION pg_temp.terms(folded text, span bigint) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT term || '/' || span), '{}') FROM unnest(string_to_array(folded, E'\n')) part,
    generate_series(1, length(part)) i,
    LATERAL (VALUES (nullif(substr(part, i, 1), ' ')), (CASE WHEN i < length(part) THEN substr(part, i, 2) END),
      (substring(substr(part, i, 3) FROM '^[0-9]{3}$')), (substring(substr(part, i, 4) FROM '^[0-9]{4}$'))) terms(term)
  WHERE term IS NOT NULL
$$;
-- +goose StatementEnd
DROP INDEX customer_summaries_grams_idx;
UPDATE customer_summaries SET grams = pg_temp.terms(folded, position >> 16);
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin (owner_staff_id, grams) WITH (fastupdate = off);

-- +goose Down
DROP INDEX customer_summaries_grams_idx;
UPDATE customer_summaries SET grams = ARRAY(
  SELECT DISTINCT left(term, -length((position >> 16)::text) - 1) FROM unnest(grams) term WHERE term !~ '^[0-9]{4}/');
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin ((position >> 14), owner_staff_id, grams) WITH (fastupdate = off);
