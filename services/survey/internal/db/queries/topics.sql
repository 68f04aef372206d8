-- name: GetTopicDictionary :one
-- Version 0 is the newest.
SELECT * FROM topic_dictionaries
WHERE questionnaire_id = @questionnaire_id AND (@version::integer = 0 OR version = @version)
ORDER BY version DESC LIMIT 1;

-- name: InsertTopicDictionary :exec
INSERT INTO topic_dictionaries (questionnaire_id, version, content, set_time, set_actor)
VALUES (@questionnaire_id, @version, @content, @set_time, @set_actor);

-- name: DeleteCoding :exec
-- What somebody set by hand stays.
DELETE FROM text_topics WHERE answer_id = ANY(@answer_ids::uuid[]) AND NOT by_hand;

-- name: InsertCoding :exec
-- A text whose topics were set by hand gets none beside.
INSERT INTO text_topics (answer_id, question_key, topic_key, questionnaire_id, by_hand, score)
SELECT v.answer_id, v.question_key, v.topic_key, @questionnaire_id::uuid, false, v.score
FROM (SELECT unnest(@answer_ids::uuid[]) AS answer_id, unnest(@question_keys::text[]) AS question_key,
        unnest(@topic_keys::text[]) AS topic_key, unnest(@scores::smallint[]) AS score) v
WHERE NOT EXISTS (SELECT FROM text_topics t WHERE t.answer_id = v.answer_id AND t.question_key = v.question_key AND t.by_hand)
ON CONFLICT DO NOTHING;

-- name: DeleteTextTopics :exec
DELETE FROM text_topics WHERE answer_id = @answer_id AND question_key = @question_key;

-- name: InsertTextTopics :exec
INSERT INTO text_topics (answer_id, question_key, topic_key, questionnaire_id, by_hand, score)
SELECT @answer_id::uuid, @question_key::text, unnest(@topic_keys::text[]), @questionnaire_id::uuid, true, @score::smallint;

-- name: CountTopics :many
SELECT topic_key, count(*) AS texts, count(*) FILTER (WHERE by_hand) AS by_hand,
  count(*) FILTER (WHERE score > 0) AS scored, coalesce(sum(score), 0)::bigint AS total
FROM text_topics WHERE questionnaire_id = @questionnaire_id GROUP BY topic_key ORDER BY topic_key;

-- name: CountTexts :one
SELECT count(*) AS texts, count(*) FILTER (WHERE score > 0) AS scored
FROM (SELECT DISTINCT answer_id, question_key, score FROM text_topics WHERE questionnaire_id = @questionnaire_id) t;

-- name: ListTextsOfTopic :many
SELECT t.answer_id, t.question_key, t.by_hand, coalesce(r.body, '') AS body,
  ARRAY(SELECT o.topic_key FROM text_topics o
    WHERE o.answer_id = t.answer_id AND o.question_key = t.question_key AND o.topic_key <> '' ORDER BY o.topic_key)::text[] AS topic_keys
FROM text_topics t JOIN answer_responses r ON r.answer_id = t.answer_id AND r.question_key = t.question_key
WHERE t.questionnaire_id = @questionnaire_id AND t.topic_key = @topic_key
  AND (t.answer_id, t.question_key) < (@before::uuid, @before_key::text)
ORDER BY t.answer_id DESC, t.question_key DESC LIMIT @size;

-- name: GetText :one
SELECT r.body, a.score, a.customer_id FROM answer_responses r JOIN answers a ON a.id = r.answer_id
WHERE r.answer_id = @answer_id AND a.questionnaire_id = @questionnaire_id AND r.question_key = @question_key AND r.body IS NOT NULL;
