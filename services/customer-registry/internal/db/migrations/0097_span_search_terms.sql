-- +goose Up
-- All terms stand in the index with their span of 65,536, and of digits the fours too: the newest with
-- a text are found span by span, without looking through all that an index knows a term by.
-- +goose StatementBegin
CREATE FUNCTION pg_temp.spanned(folded text, span bigint) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT term || '/' || span), '{}') FROM unnest(string_to_array(folded, E'\n')) part,
    generate_series(1, length(part)) i,
    LATERAL (VALUES (nullif(substr(part, i, 1), ' ')), (CASE WHEN i < length(part) THEN substr(part, i, 2) END),
      (substring(substr(part, i, 3) FROM '^[0-9]{3}$')), (substring(substr(part, i, 4) FROM '^[0-9]{4}$'))) terms(term)
  WHERE term IS NOT NULL
$$;
-- +goose StatementEnd
DROP INDEX customer_summaries_grams_idx;
UPDATE customer_summaries SET grams = pg_temp.spanned(folded, position >> 16);
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin (owner_staff_id, grams) WITH (fastupdate = off);

-- +goose Down
-- +goose StatementBegin
CREATE FUNCTION pg_temp.marked(folded text, span bigint) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT term), '{}') FROM unnest(string_to_array(folded, E'\n')) part,
    generate_series(1, length(part)) i,
    LATERAL (VALUES (nullif(substr(part, i, 1), ' ') || '/' || span), (CASE WHEN i < length(part) THEN substr(part, i, 2) END),
      (CASE WHEN substr(part, i, 3) ~ '^[0-9]{3}$' THEN substr(part, i, 3) END),
      (CASE WHEN substr(part, i, 4) ~ '^[0-9]{4}$' THEN substr(part, i, 4) || '/' || span END)) terms(term)
  WHERE term IS NOT NULL
$$;
-- +goose StatementEnd
DROP INDEX customer_summaries_grams_idx;
UPDATE customer_summaries SET grams = pg_temp.marked(folded, position >> 14);
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin ((position >> 14), owner_staff_id, grams) WITH (fastupdate = off);
