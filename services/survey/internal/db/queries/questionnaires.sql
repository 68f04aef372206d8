-- name: InsertQuestionnaire :exec
INSERT INTO questionnaires (id, draft, published_version, published_trigger, create_time, update_time, version)
VALUES (@id, @draft, 0, 0, @create_time, @create_time, 1);

-- name: GetQuestionnaire :one
SELECT * FROM questionnaires WHERE id = $1;

-- name: LockQuestionnaire :one
SELECT * FROM questionnaires WHERE id = $1 FOR UPDATE;

-- name: ListQuestionnaires :many
SELECT * FROM questionnaires WHERE id < @before ORDER BY id DESC LIMIT @size;

-- name: UpdateQuestionnaireDraft :exec
UPDATE questionnaires SET draft = @draft, update_time = @update_time, version = version + 1 WHERE id = @id;

-- name: UpdateQuestionnairePublished :exec
UPDATE questionnaires
SET published_version = @published_version, published_trigger = @published_trigger,
    publish_time = @publish_time, update_time = @publish_time, version = version + 1
WHERE id = @id;

-- name: InsertQuestionnaireVersion :exec
INSERT INTO questionnaire_versions (questionnaire_id, version, content, publish_time, publish_actor)
VALUES (@questionnaire_id, @version, @content, @publish_time, @publish_actor);

-- name: GetQuestionnaireVersion :one
SELECT * FROM questionnaire_versions WHERE questionnaire_id = $1 AND version = $2;

-- name: ListQuestionnaireVersions :many
SELECT * FROM questionnaire_versions WHERE questionnaire_id = $1 ORDER BY version DESC;

-- name: GetTriggeredQuestionnaire :one
SELECT * FROM questionnaires
WHERE published_trigger = @trigger::smallint AND published_trigger <> 0
ORDER BY publish_time DESC, id DESC LIMIT 1;

-- name: FindAspects :many
SELECT * FROM aspects ORDER BY place;
