-- +goose Up
-- What flags answers, and what speaks of a topic. A version never changes; a questionnaire
-- without any goes by the suite's own.
CREATE TABLE cleaning_rules (
  questionnaire_id uuid NOT NULL CONSTRAINT cleaning_rules_questionnaire_id_fkey REFERENCES questionnaires,
  version          integer NOT NULL CONSTRAINT cleaning_rules_version_check CHECK (version > 0),
  -- The rules as JSON of the API's message.
  content          jsonb NOT NULL,
  set_time         timestamptz NOT NULL,
  set_actor        text NOT NULL,
  CONSTRAINT cleaning_rules_pkey PRIMARY KEY (questionnaire_id, version)
);
CREATE TABLE topic_dictionaries (
  questionnaire_id uuid NOT NULL CONSTRAINT topic_dictionaries_questionnaire_id_fkey REFERENCES questionnaires,
  version          integer NOT NULL CONSTRAINT topic_dictionaries_version_check CHECK (version > 0),
  content          jsonb NOT NULL,
  set_time         timestamptz NOT NULL,
  set_actor        text NOT NULL,
  CONSTRAINT topic_dictionaries_pkey PRIMARY KEY (questionnaire_id, version)
);

-- Answers are flagged after they are kept: whether one is a duplicate depends on others that
-- may be under way at the same moment, and is seen for certain once both are committed.
CREATE TABLE unflagged (
  answer_id        uuid PRIMARY KEY,
  questionnaire_id uuid NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX unflagged_questionnaire_id_idx ON unflagged (questionnaire_id);
INSERT INTO unflagged (answer_id, questionnaire_id) SELECT answer_id, questionnaire_id FROM answer_scores;

-- Whoever flags answers of a questionnaire locks its row: rules that are set are met by
-- everything that is flagged after.
CREATE TABLE cleanings (
  questionnaire_id uuid PRIMARY KEY CONSTRAINT cleanings_questionnaire_id_fkey REFERENCES questionnaires,
  -- Rises with each change of flags, so that what was computed of others is known to be old.
  epoch            bigint NOT NULL,
  -- While all are flagged anew: the last answer that was.
  after_id         uuid
);
CREATE INDEX cleanings_after_id_idx ON cleanings (questionnaire_id) WHERE after_id IS NOT NULL;

-- A bit a flag: 1 duplicate, 2 too fast, 4 straight-lining, 8 contradictory, 16 incomplete.
ALTER TABLE answer_scores ADD COLUMN flags smallint NOT NULL DEFAULT 0, ADD COLUMN excluded boolean NOT NULL DEFAULT false;
CREATE INDEX answer_scores_flagged_idx ON answer_scores (questionnaire_id, answer_id DESC) INCLUDE (flags, excluded)
  WHERE flags <> 0 OR excluded;

-- What somebody decided about an answer, over its flags.
CREATE TABLE answer_judgements (
  answer_id        uuid PRIMARY KEY CONSTRAINT answer_judgements_answer_id_fkey REFERENCES answers,
  questionnaire_id uuid NOT NULL,
  excluded         boolean NOT NULL,
  reason           text,
  judge_actor      text NOT NULL,
  judge_time       timestamptz NOT NULL
);
CREATE INDEX answer_judgements_questionnaire_idx ON answer_judgements (questionnaire_id, answer_id DESC);

-- Who answered without being known is told by the order that was asked about.
CREATE INDEX answers_order_number_idx ON answers (questionnaire_id, order_number)
  WHERE customer_id IS NULL AND order_number <> '';

-- A row a topic of a text, or one with the empty topic where it has none.
CREATE TABLE text_topics (
  answer_id        uuid NOT NULL CONSTRAINT text_topics_answer_id_fkey REFERENCES answers,
  question_key     text NOT NULL,
  topic_key        text NOT NULL,
  questionnaire_id uuid NOT NULL,
  by_hand          boolean NOT NULL,
  -- First rating of the answer, 0 without one.
  score            smallint NOT NULL,
  CONSTRAINT text_topics_pkey PRIMARY KEY (answer_id, question_key, topic_key)
);
CREATE INDEX text_topics_topic_idx ON text_topics (questionnaire_id, topic_key, answer_id DESC, question_key DESC);

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON cleaning_rules, topic_dictionaries FROM %I', current_setting('kefu.run_role'));
  EXECUTE format('GRANT UPDATE (flags, excluded) ON answer_scores TO %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE text_topics, answer_judgements, cleanings, unflagged, topic_dictionaries, cleaning_rules;
DROP INDEX answers_order_number_idx;
ALTER TABLE answer_scores DROP COLUMN excluded, DROP COLUMN flags;
