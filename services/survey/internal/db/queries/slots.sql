-- name: InsertQuestionSlots :exec
INSERT INTO question_slots (questionnaire_id, questionnaire_version, question_key, type, slot, choices)
SELECT @questionnaire_id::uuid, @questionnaire_version::integer, unnest(@question_keys::text[]), unnest(@types::smallint[]),
  unnest(@slots::smallint[]), string_to_array(unnest(@choices::text[]), ',');

-- name: ListQuestionSlots :many
-- The newest version first; within one by slot.
SELECT question_key, type, slot, choices FROM question_slots
WHERE questionnaire_id = $1 ORDER BY questionnaire_version DESC, slot;

-- name: CountCustomersByTier :many
-- The customers that a weighted mean stands for.
SELECT tier, count(*) AS n FROM customer_refs WHERE status = 1 AND merged_into IS NULL GROUP BY tier ORDER BY tier;
