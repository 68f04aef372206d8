-- +goose Up
-- At which place of answer_scores.scores a version's question stands. A question that keeps key
-- and type keeps its place in every version, so that versions are analysed together; texts
-- have none. The number of a choice is its place in choices, the first being 1, and stays too:
-- a version lists all that were offered up to it.
CREATE TABLE question_slots (
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  question_key          text NOT NULL,
  type                  smallint NOT NULL,
  slot                  smallint NOT NULL CONSTRAINT question_slots_slot_check CHECK (slot > 0),
  choices               text[] NOT NULL,
  CONSTRAINT question_slots_pkey PRIMARY KEY (questionnaire_id, questionnaire_version, question_key),
  CONSTRAINT question_slots_questionnaire_id_fkey FOREIGN KEY (questionnaire_id, questionnaire_version) REFERENCES questionnaire_versions
);

-- One row an answer, written with it, so that an analysis is a GROUP BY over one narrow table.
CREATE TABLE answer_scores (
  answer_id             uuid PRIMARY KEY CONSTRAINT answer_scores_answer_id_fkey REFERENCES answers,
  questionnaire_id      uuid NOT NULL,
  answer_time           timestamptz NOT NULL,
  -- The customer as known when the answer came; NULL when the answer names none.
  tier                  smallint,
  kind                  smallint,
  region                text,
  -- 1 ticket, 2 complaint, 3 invited by hand, 4 imported.
  cause                 smallint NOT NULL,
  -- By slot the score or the number of the choice, -1 where there is none.
  scores                smallint[] NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX answer_scores_questionnaire_idx ON answer_scores (questionnaire_id, answer_time);

-- What was published and answered before.
WITH asked AS (
  SELECT v.questionnaire_id, v.version, q.place, q.question->>'key' AS key,
    array_position(ARRAY['QUESTION_TYPE_RATING', 'QUESTION_TYPE_NPS', 'QUESTION_TYPE_SINGLE_CHOICE'], q.question->>'type') AS type,
    q.question->'choices' AS choices
  FROM questionnaire_versions v, jsonb_array_elements(v.content->'questions') WITH ORDINALITY AS q (question, place)
), first AS (
  SELECT questionnaire_id, key, type, min(array[version, place]) AS at
  FROM asked WHERE type IS NOT NULL GROUP BY 1, 2, 3
), slots AS (
  SELECT questionnaire_id, key, type, row_number() OVER (PARTITION BY questionnaire_id ORDER BY at) AS slot FROM first
), offered AS (
  SELECT a.questionnaire_id, a.key, c.choice->>'key' AS choice, min(array[a.version, c.place]) AS at
  FROM asked a, jsonb_array_elements(a.choices) WITH ORDINALITY AS c (choice, place) WHERE a.type = 3 GROUP BY 1, 2, 3
)
INSERT INTO question_slots (questionnaire_id, questionnaire_version, question_key, type, slot, choices)
SELECT a.questionnaire_id, a.version, a.key, a.type, s.slot,
  coalesce((SELECT array_agg(o.choice ORDER BY o.at) FROM offered o
    WHERE a.type = 3 AND o.questionnaire_id = a.questionnaire_id AND o.key = a.key AND o.at[1] <= a.version), '{}')
FROM asked a JOIN slots s USING (questionnaire_id, key, type);

INSERT INTO answer_scores (answer_id, questionnaire_id, answer_time, tier, kind, region, cause, scores)
SELECT a.id, a.questionnaire_id, a.answer_time, c.tier, c.kind, c.region,
  CASE WHEN a.ticket_id IS NOT NULL THEN 1 WHEN a.complaint_id IS NOT NULL THEN 2 WHEN a.invitation_id IS NOT NULL THEN 3 ELSE 4 END,
  ARRAY(SELECT coalesce((
      SELECT coalesce(r.score, array_position(q.choices, r.choice)) FROM question_slots q
      JOIN answer_responses r USING (question_key)
      WHERE q.questionnaire_id = a.questionnaire_id AND q.questionnaire_version = a.questionnaire_version AND q.slot = every.slot
        AND r.answer_id = a.id), -1)::smallint
    FROM generate_series(1, (SELECT max(q.slot) FROM question_slots q
      WHERE q.questionnaire_id = a.questionnaire_id AND q.questionnaire_version = a.questionnaire_version)) AS every (slot)
    ORDER BY every.slot)
FROM answers a LEFT JOIN customer_refs c ON c.id = a.customer_id;

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON question_slots, answer_scores FROM %I',
                 current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE answer_scores, question_slots;
