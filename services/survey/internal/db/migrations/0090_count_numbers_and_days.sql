-- +goose Up
-- Numbers and days are counted by their value, as scores are. Those folded before stand under
-- the empty value, as do those that were erased, which stay there.
LOCK TABLE uncounted, counts IN EXCLUSIVE MODE;
WITH given AS (
  SELECT r.questionnaire_id, r.questionnaire_version, r.question_key, coalesce(r.number::text, to_char(r.day, 'YYYY-MM-DD')) AS value, count(*) AS n
  FROM answer_responses r
  WHERE num_nonnulls(r.number, r.day) = 1 AND NOT EXISTS (SELECT FROM uncounted u WHERE u.id = r.answer_id)
  GROUP BY 1, 2, 3, 4
), moved AS (
  UPDATE counts c SET n = c.n - g.n
  FROM (SELECT questionnaire_id, questionnaire_version, question_key, sum(n)::bigint AS n FROM given GROUP BY 1, 2, 3) g
  WHERE c.questionnaire_id = g.questionnaire_id AND c.questionnaire_version = g.questionnaire_version
    AND c.question_key = g.question_key AND c.value = ''
)
INSERT INTO counts (questionnaire_id, questionnaire_version, question_key, value, n)
SELECT questionnaire_id, questionnaire_version, question_key, value, n FROM given;

-- +goose Down
LOCK TABLE uncounted, counts IN EXCLUSIVE MODE;
WITH given AS (
  SELECT DISTINCT questionnaire_id, questionnaire_version, question_key FROM answer_responses WHERE num_nonnulls(number, day) = 1
), valued AS (
  DELETE FROM counts c USING given g
  WHERE c.questionnaire_id = g.questionnaire_id AND c.questionnaire_version = g.questionnaire_version
    AND c.question_key = g.question_key AND c.value <> ''
  RETURNING c.questionnaire_id, c.questionnaire_version, c.question_key, c.n
)
INSERT INTO counts (questionnaire_id, questionnaire_version, question_key, value, n)
SELECT questionnaire_id, questionnaire_version, question_key, '', sum(n)::bigint FROM valued GROUP BY 1, 2, 3
ON CONFLICT (questionnaire_id, questionnaire_version, question_key, value) DO UPDATE SET n = counts.n + excluded.n;
