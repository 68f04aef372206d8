-- name: InsertAnswers :many
-- Answers already imported from the source are left out of the result.
WITH made AS (
INSERT INTO answers (id, questionnaire_id, questionnaire_version, customer_id, round, order_number, score, low,
  answer_time, invite_time, source, external_id, record_time, channel)
SELECT unnest(@ids::uuid[]), @questionnaire_id::uuid, @questionnaire_version::integer,
  NULLIF(unnest(@customer_ids::uuid[]), '00000000-0000-0000-0000-000000000000'), 0, unnest(@order_numbers::text[]),
  unnest(@scores::smallint[]), unnest(@lows::boolean[]), unnest(@answer_times::timestamptz[]),
  NULLIF(unnest(@invite_times::timestamptz[]), '0001-01-01 00:00:00+00'), @source::text, unnest(@external_ids::text[]),
  @record_time::timestamptz, 6
ON CONFLICT (questionnaire_id, source, external_id) WHERE source IS NOT NULL DO NOTHING
RETURNING id)
INSERT INTO uncounted (id) SELECT made.id FROM made RETURNING id;

-- name: InsertAnswer :exec
WITH made AS (
INSERT INTO answers (id, questionnaire_id, questionnaire_version, invitation_id, customer_id, ticket_id, complaint_id,
  round, order_number, score, low, answer_time, invite_time, record_time, channel, enter_actor, late, partial, anonymous)
VALUES (@id, @questionnaire_id, @questionnaire_version, @invitation_id, @customer_id, @ticket_id, @complaint_id,
  @round, '', @score, @low, @answer_time, @invite_time, @record_time,
  @channel, @enter_actor, @late, @partial, @anonymous)
RETURNING id)
INSERT INTO uncounted (id) SELECT made.id FROM made;

-- name: InsertResponses :exec
INSERT INTO answer_responses (answer_id, place, questionnaire_id, questionnaire_version, question_key, score, choice, body,
  picks, ranks, number, day)
SELECT unnest(@answer_ids::uuid[]), unnest(@places::smallint[]), @questionnaire_id::uuid, @questionnaire_version::integer,
  unnest(@question_keys::text[]), NULLIF(unnest(@scores::smallint[]), -1), NULLIF(unnest(@choices::text[]), ''),
  NULLIF(unnest(@bodies::text[]), ''), string_to_array(NULLIF(unnest(@picks::text[]), ''), ','),
  string_to_array(NULLIF(unnest(@ranks::text[]), ''), ','), NULLIF(unnest(@numbers::double precision[]), 'NaN'),
  NULLIF(unnest(@days::text[]), '')::date;

-- name: ListImportedAnswers :many
SELECT id, external_id FROM answers
WHERE questionnaire_id = @questionnaire_id AND source = @source::text AND external_id = ANY(@external_ids::text[]);

-- name: ListAnswers :many
SELECT * FROM answers
WHERE questionnaire_id = @questionnaire_id AND id < @before ORDER BY id DESC LIMIT @size;

-- name: ListAnswersOfCustomer :many
SELECT * FROM answers
WHERE questionnaire_id = @questionnaire_id AND customer_id = @customer_id::uuid AND id < @before
ORDER BY id DESC LIMIT @size;

-- name: ListResponses :many
SELECT answer_id, question_key, score, choice, body, picks, ranks, number, day FROM answer_responses
WHERE answer_id = ANY(@answer_ids::uuid[]) ORDER BY answer_id, place;

