-- +goose Up
CREATE TABLE answers (
  id                    uuid PRIMARY KEY,
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  invitation_id         uuid CONSTRAINT answers_invitation_id_fkey REFERENCES invitations,
  customer_id           uuid CONSTRAINT answers_customer_id_fkey REFERENCES customer_refs,
  ticket_id             uuid,
  complaint_id          uuid,
  round                 integer NOT NULL,
  order_number          text NOT NULL,
  -- First rating, and whether a score was low, by the thresholds of that day.
  score                 smallint NOT NULL,
  low                   boolean NOT NULL,
  answer_time           timestamptz NOT NULL,
  invite_time           timestamptz,
  -- Where an imported answer came from.
  source                text,
  external_id           text,
  record_time           timestamptz NOT NULL,
  CONSTRAINT answers_source_check CHECK ((source IS NULL) = (external_id IS NULL)),
  CONSTRAINT answers_invite_time_check CHECK (invite_time <= answer_time)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE UNIQUE INDEX answers_invitation_id_key ON answers (invitation_id) WHERE invitation_id IS NOT NULL;
CREATE UNIQUE INDEX answers_source_external_id_key ON answers (questionnaire_id, source, external_id) WHERE source IS NOT NULL;
CREATE INDEX answers_questionnaire_idx ON answers (questionnaire_id, id DESC);
CREATE INDEX answers_customer_idx ON answers (questionnaire_id, customer_id, id DESC) WHERE customer_id IS NOT NULL;

CREATE TABLE answer_responses (
  answer_id             uuid NOT NULL CONSTRAINT answer_responses_answer_id_fkey REFERENCES answers,
  -- Place among the answer's responses, as they were given.
  place                 smallint NOT NULL,
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  question_key          text NOT NULL,
  score                 smallint,
  choice                text,
  body                  text,
  CONSTRAINT answer_responses_pkey PRIMARY KEY (answer_id, place),
  CONSTRAINT answer_responses_value_check CHECK (num_nonnulls(score, choice, body) = 1)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

-- Results are read from counts, so that a million answers cost no more than a hundred. To
-- count while answering would make all who answer wait for one row: instead each invitation
-- and answer is noted as uncounted, and a fold moves it into the counts soon after. Counts
-- and what is uncounted, read in one statement, are exact at any moment.
CREATE TABLE counts (
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  -- Empty for the invitations and answers themselves.
  question_key          text NOT NULL,
  -- The score in digits, the key of the choice, or empty for a text; for no question
  -- 'asked' (an invitation), 'answered' (an answer to one) or 'imported'.
  value                 text NOT NULL,
  n                     bigint NOT NULL,
  CONSTRAINT counts_pkey PRIMARY KEY (questionnaire_id, questionnaire_version, question_key, value)
) WITH (fillfactor = 50);

-- Ids of invitations and answers. It is short: what is deleted must not stay for long.
CREATE TABLE uncounted (
  id uuid PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- +goose Down
DROP TABLE uncounted, counts, answer_responses, answers;
