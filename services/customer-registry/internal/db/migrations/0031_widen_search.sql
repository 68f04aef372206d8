-- +goose Up
-- A search finds a customer by any part of name, number, region, tags and contacts' names.
-- position is the sequence in the customer's number: newest first is by it, and the index
-- begins with spans of 16,384 of them, so that a search stops when it has a page.
ALTER TABLE customer_summaries ADD COLUMN position bigint;
UPDATE customer_summaries SET position = split_part(number, '-', 3)::bigint;
ALTER TABLE customer_summaries
  ALTER COLUMN position SET NOT NULL,
  ALTER COLUMN position SET DEFAULT nextval('customer_numbers'),
  ADD CONSTRAINT customer_summaries_position_key UNIQUE (position);

-- +goose StatementBegin
CREATE FUNCTION pg_temp.fold(given text) RETURNS text LANGUAGE sql AS
$$ SELECT btrim(regexp_replace(lower(normalize(given, NFKC)), '\s+', ' ', 'g')) $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION pg_temp.grams(folded text) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM unnest(string_to_array(folded, E'\n')) part,
    generate_series(1, length(part)) i,
    LATERAL (VALUES (nullif(substr(part, i, 1), ' ')), (CASE WHEN i < length(part) THEN substr(part, i, 2) END),
      (CASE WHEN substr(part, i, 3) ~ '^[0-9]{3}$' THEN substr(part, i, 3) END)) grams(gram)
  WHERE gram IS NOT NULL
$$;
-- +goose StatementEnd
UPDATE customer_summaries s SET folded = (
  SELECT string_agg(folded, E'\n') FROM (
    SELECT pg_temp.fold(word) AS folded FROM (
      SELECT c.name AS word UNION SELECT c.number UNION SELECT c.region UNION SELECT unnest(c.tags)
      UNION SELECT p.name FROM contacts p WHERE p.customer_id = c.id AND p.delete_time IS NULL) words
    WHERE btrim(word) <> '') parts)
FROM customers c WHERE c.id = s.customer_id;
UPDATE customer_summaries SET grams = pg_temp.grams(folded);

DROP INDEX customer_summaries_grams_idx;
CREATE INDEX customer_summaries_grams_idx ON customer_summaries
  USING gin ((position >> 14), owner_staff_id, grams) WITH (fastupdate = off);

-- +goose Down
DROP INDEX customer_summaries_grams_idx;
CREATE INDEX customer_summaries_grams_idx ON customer_summaries USING gin (owner_staff_id, grams) WITH (fastupdate = off);
ALTER TABLE customer_summaries DROP COLUMN position;
