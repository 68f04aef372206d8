-- +goose Up
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- Lists by what an officer of the desk looks for: of each the newest of each state, as with
-- the other keys.
CREATE INDEX tickets_service_tier_idx ON tickets (service_tier, state, id);
CREATE INDEX tickets_phase_idx ON tickets (phase, state, id);
CREATE INDEX tickets_channel_idx ON tickets (channel, state, id);

-- Lists by due time. What has none has no deadline that runs and stands in none of them.
CREATE INDEX tickets_due_time_idx ON tickets (due_time, id) WHERE due_time IS NOT NULL;
CREATE INDEX tickets_assignee_due_idx ON tickets (assignee_staff_id, due_time, id) WHERE due_time IS NOT NULL;
CREATE INDEX tickets_department_due_idx ON tickets (department_id, due_time, id) WHERE due_time IS NOT NULL;

-- The P1 that wait, for the counts.
CREATE INDEX tickets_queue_p1_idx ON tickets ((COALESCE(department_id, '00000000-0000-0000-0000-000000000000')))
  WHERE assignee_staff_id IS NULL AND state IN (1, 2) AND queue_rank = 0;

-- What a ticket is found by any part of: title, number, product model, serial number and
-- order number, folded (NFKC, lower case), each on a line, and the characters and pairs of it.
-- position is the sequence in the number: newest first is by it, and the index begins with
-- spans of 16,384 of them, so that a search stops when it has a page.
CREATE TABLE ticket_texts (
  ticket_id uuid PRIMARY KEY,
  position  bigint NOT NULL,
  folded    text NOT NULL,
  grams     text[] NOT NULL,
  CONSTRAINT ticket_texts_position_key UNIQUE (position),
  CONSTRAINT ticket_texts_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id)
);

-- +goose StatementBegin
CREATE FUNCTION pg_temp.grams(folded text) RETURNS text[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM unnest(string_to_array(folded, E'\n')) part,
    generate_series(1, length(part)) i,
    LATERAL (VALUES (nullif(substr(part, i, 1), ' ')), (CASE WHEN i < length(part) THEN substr(part, i, 2) END),
      (CASE WHEN substr(part, i, 3) ~ '^[0-9]{3}$' THEN substr(part, i, 3) END)) grams(gram)
  WHERE gram IS NOT NULL
$$;
-- +goose StatementEnd
INSERT INTO ticket_texts (ticket_id, position, folded, grams)
SELECT id, split_part(number, '-', 3)::bigint, folded, pg_temp.grams(folded) FROM (
  SELECT t.id, t.number, (
    SELECT coalesce(string_agg(DISTINCT word, E'\n'), '') FROM (
      SELECT btrim(regexp_replace(lower(normalize(raw, NFKC)), '\s+', ' ', 'g')) AS word
      FROM unnest(ARRAY[t.title, t.number, t.product_model, t.serial_number, t.order_number]) raw) words
    WHERE word <> '') AS folded
  FROM tickets t) found;
CREATE INDEX ticket_texts_grams_idx ON ticket_texts USING gin ((position >> 14), grams) WITH (fastupdate = off);

-- +goose Down
DROP TABLE ticket_texts;
DROP INDEX tickets_queue_p1_idx, tickets_department_due_idx, tickets_assignee_due_idx, tickets_due_time_idx, tickets_channel_idx, tickets_phase_idx,
  tickets_service_tier_idx;
