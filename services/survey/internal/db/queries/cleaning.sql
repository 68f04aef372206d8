-- name: GetCleaningRules :one
-- Version 0 is the newest.
SELECT * FROM cleaning_rules
WHERE questionnaire_id = @questionnaire_id AND (@version::integer = 0 OR version = @version)
ORDER BY version DESC LIMIT 1;

-- name: InsertCleaningRules :exec
INSERT INTO cleaning_rules (questionnaire_id, version, content, set_time, set_actor)
VALUES (@questionnaire_id, @version, @content, @set_time, @set_actor);

-- name: LockCleaning :exec
-- Locks the questionnaire's flags and makes known that they change.
INSERT INTO cleanings (questionnaire_id, epoch) VALUES (@questionnaire_id, 1)
ON CONFLICT (questionnaire_id) DO UPDATE SET epoch = cleanings.epoch + 1;

-- name: RestartCleaning :exec
UPDATE cleanings SET after_id = '00000000-0000-0000-0000-000000000000' WHERE questionnaire_id = @questionnaire_id;

-- name: AdvanceCleaning :exec
UPDATE cleanings SET after_id = @after_id WHERE questionnaire_id = @questionnaire_id;

-- name: GetCleaning :one
SELECT * FROM cleanings WHERE questionnaire_id = @questionnaire_id;

-- name: LockRunningCleaning :one
SELECT questionnaire_id, after_id FROM cleanings WHERE after_id IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: ListAnswersAfter :many
SELECT id FROM answers WHERE questionnaire_id = @questionnaire_id AND id > @after ORDER BY id LIMIT @size;

-- name: GetUnflaggedQuestionnaire :one
-- Which questionnaire has answers that wait.
SELECT questionnaire_id FROM unflagged LIMIT 1;

-- name: TakeUnflagged :many
DELETE FROM unflagged WHERE answer_id = ANY(ARRAY(
  SELECT u.answer_id FROM unflagged u WHERE u.questionnaire_id = @questionnaire_id LIMIT @size FOR UPDATE SKIP LOCKED)::uuid[])
RETURNING answer_id;

-- name: CountUnflagged :one
SELECT count(*) FROM unflagged WHERE questionnaire_id = @questionnaire_id;

-- name: ListAnswersByID :many
SELECT * FROM answers WHERE id = ANY(@ids::uuid[]) ORDER BY id;

-- name: ListLaterTwins :many
-- Answers about the same thing after one of these: whether they are duplicates depends on it.
SELECT b.id FROM answers a JOIN answers b ON b.questionnaire_id = a.questionnaire_id AND b.customer_id = a.customer_id
WHERE a.id = ANY(@ids::uuid[]) AND a.customer_id IS NOT NULL
  AND b.ticket_id IS NOT DISTINCT FROM a.ticket_id AND b.complaint_id IS NOT DISTINCT FROM a.complaint_id
  AND b.round = a.round AND b.order_number = a.order_number
  AND (b.answer_time, b.id) > (a.answer_time, a.id)
UNION
SELECT b.id FROM answers a JOIN answers b ON b.questionnaire_id = a.questionnaire_id AND b.order_number = a.order_number
WHERE a.id = ANY(@ids::uuid[]) AND a.customer_id IS NULL AND b.customer_id IS NULL AND a.order_number <> '' AND b.order_number <> ''
  AND (b.answer_time, b.id) > (a.answer_time, a.id);

-- name: ListDuplicates :many
-- Which of these have an answer about the same thing within so many days before.
SELECT a.id FROM answers a
WHERE a.id = ANY(@ids::uuid[]) AND (
  a.customer_id IS NOT NULL AND EXISTS (
    SELECT FROM answers b WHERE b.questionnaire_id = a.questionnaire_id AND b.customer_id = a.customer_id
      AND b.ticket_id IS NOT DISTINCT FROM a.ticket_id AND b.complaint_id IS NOT DISTINCT FROM a.complaint_id
      AND b.round = a.round AND b.order_number = a.order_number
      AND (b.answer_time, b.id) < (a.answer_time, a.id) AND b.answer_time >= a.answer_time - make_interval(days => @within_days::integer))
  OR a.customer_id IS NULL AND a.order_number <> '' AND EXISTS (
    SELECT FROM answers b WHERE b.questionnaire_id = a.questionnaire_id AND b.order_number = a.order_number
      AND b.customer_id IS NULL AND b.order_number <> ''
      AND (b.answer_time, b.id) < (a.answer_time, a.id) AND b.answer_time >= a.answer_time - make_interval(days => @within_days::integer)));

-- name: UpdateFlags :exec
-- What somebody decided stays over the flags.
UPDATE answer_scores s
SET flags = v.flags, excluded = coalesce(j.excluded, v.flags & @excluding::smallint <> 0)
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@flags::smallint[]) AS flags) v
LEFT JOIN answer_judgements j ON j.answer_id = v.id
WHERE s.answer_id = v.id;

-- name: CountFlags :many
SELECT flags, excluded, count(*) AS n FROM answer_scores
WHERE questionnaire_id = @questionnaire_id AND (flags <> 0 OR excluded) GROUP BY flags, excluded ORDER BY flags, excluded;

-- name: CountJudged :one
SELECT count(*) FROM answer_judgements WHERE questionnaire_id = @questionnaire_id;

-- name: ListFlagged :many
SELECT ids.answer_id, a.customer_id, s.flags, s.excluded, j.reason, j.judge_actor, j.judge_time
FROM (
  (SELECT f.answer_id FROM answer_scores f
   WHERE f.questionnaire_id = @questionnaire_id AND (f.flags <> 0 OR f.excluded) AND f.answer_id < @before
   ORDER BY f.answer_id DESC LIMIT @size)
  UNION
  (SELECT h.answer_id FROM answer_judgements h
   WHERE h.questionnaire_id = @questionnaire_id AND h.answer_id < @before ORDER BY h.answer_id DESC LIMIT @size)
) ids
JOIN answers a ON a.id = ids.answer_id
JOIN answer_scores s ON s.answer_id = ids.answer_id
LEFT JOIN answer_judgements j ON j.answer_id = ids.answer_id
ORDER BY ids.answer_id DESC LIMIT @size;

-- name: GetFlagged :one
SELECT s.answer_id, a.customer_id, s.flags, s.excluded, j.reason, j.judge_actor, j.judge_time
FROM answer_scores s JOIN answers a ON a.id = s.answer_id LEFT JOIN answer_judgements j ON j.answer_id = s.answer_id
WHERE s.answer_id = @answer_id AND s.questionnaire_id = @questionnaire_id;

-- name: InsertJudgement :exec
INSERT INTO answer_judgements (answer_id, questionnaire_id, excluded, reason, judge_actor, judge_time)
VALUES (@answer_id, @questionnaire_id, @excluded, @reason, @judge_actor, @judge_time)
ON CONFLICT (answer_id) DO UPDATE
SET excluded = excluded.excluded, reason = excluded.reason, judge_actor = excluded.judge_actor, judge_time = excluded.judge_time;

-- name: DeleteJudgement :execrows
DELETE FROM answer_judgements WHERE answer_id = @answer_id;
