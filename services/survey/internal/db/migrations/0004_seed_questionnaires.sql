-- +goose Up
-- The two questionnaires that a new installation sends by itself. They are like any other:
-- editing and publishing them makes version 2, publishing without a trigger ends the sending.
INSERT INTO questionnaires (id, draft, published_version, published_trigger, publish_time, create_time, update_time, version)
VALUES
('01900000-0000-7000-8000-000000000001', '{
  "title": {"zh": "服务满意度调查", "en": "How was our service?"},
  "trigger": "TRIGGER_TICKET_RESOLVED",
  "questions": [
    {"key": "overall", "type": "QUESTION_TYPE_RATING", "required": true,
     "text": {"zh": "您对本次服务总体满意吗？", "en": "How satisfied are you with this service overall?"}},
    {"key": "speed", "type": "QUESTION_TYPE_RATING",
     "text": {"zh": "您对响应和处理速度满意吗？", "en": "How satisfied are you with how fast we were?"}},
    {"key": "attitude", "type": "QUESTION_TYPE_RATING",
     "text": {"zh": "您对服务态度满意吗？", "en": "How satisfied are you with how we treated you?"}},
    {"key": "recommend", "type": "QUESTION_TYPE_NPS",
     "text": {"zh": "您有多大可能向他人推荐我们？", "en": "How likely are you to recommend us?"}},
    {"key": "comment", "type": "QUESTION_TYPE_TEXT",
     "text": {"zh": "您还有什么意见或建议？", "en": "Is there anything else you want to tell us?"}}
  ]
}', 1, 1, now(), now(), now(), 1),
('01900000-0000-7000-8000-000000000002', '{
  "title": {"zh": "投诉处理结果满意度调查", "en": "Is your complaint settled?"},
  "trigger": "TRIGGER_COMPLAINT_TOLD",
  "questions": [
    {"key": "overall", "type": "QUESTION_TYPE_RATING", "required": true,
     "text": {"zh": "您对投诉的处理结果满意吗？", "en": "How satisfied are you with the result of your complaint?"}},
    {"key": "comment", "type": "QUESTION_TYPE_TEXT",
     "text": {"zh": "您还有什么意见或要求？", "en": "Is there anything else you want to tell us or ask of us?"}}
  ]
}', 1, 2, now(), now(), now(), 1);

INSERT INTO questionnaire_versions (questionnaire_id, version, content, publish_time, publish_actor)
SELECT id, 1, draft, publish_time, 'survey' FROM questionnaires
WHERE id IN ('01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002');

-- +goose Down
DELETE FROM questionnaire_versions
WHERE questionnaire_id IN ('01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002') AND version = 1;
