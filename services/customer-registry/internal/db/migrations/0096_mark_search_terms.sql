-- +goose Up
-- A character and a four of digits stand in the index with their span, and no longer without:
-- those of a search that few customers have are found without looking through all of a span.
-- +goose StatementBegin
CREATE FUNCTION pg_temp.terms(folded text, span bigint) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT term), '{}') FROM unnest(string_to_array(folded, E'\n')) part,
    generate_series(1, length(part)) i,
    LATERAL (VALUES (nullif(substr(part, i, 1), ' ') || '/' || span), (CASE WHEN i < length(part) THEN substr(part, i, 2) END),
      (CASE WHEN substr(part, i, 3) ~ '^[0-9]{3}$' THEN substr(part, i, 3) END),
      (CASE WHEN substr(part, i, 4) ~ '^[0-9]{4}$' THEN substr(part, i, 4) || '/' || span END)) terms(term)
  WHERE term IS NOT NULL
$$;
-- +goose StatementEnd
DROP INDEX customer_summaries_grams_idx;
UPDATE customer_summaries SET grams = pg_temp.terms(folded, position >> 14);
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin ((position >> 14), owner_staff_id, grams) WITH (fastupdate = off);

-- +goose Down
DROP INDEX customer_summaries_grams_idx;
UPDATE customer_summaries SET grams = ARRAY(
  SELECT DISTINCT CASE WHEN term LIKE '_/%' AND length(term) > 2 THEN left(term, 1) ELSE term END
  FROM unnest(grams) term WHERE term !~ '^[0-9]{4}/');
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin ((position >> 14), owner_staff_id, grams) WITH (fastupdate = off);
