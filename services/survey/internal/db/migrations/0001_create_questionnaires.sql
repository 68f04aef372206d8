-- +goose Up
CREATE TABLE questionnaires (
  id                uuid PRIMARY KEY,
  -- Title, trigger and questions as JSON of the API's message.
  draft             jsonb NOT NULL,
  -- Last published version, 0 before the first; the next two columns are its own.
  published_version integer NOT NULL,
  published_trigger smallint NOT NULL,
  publish_time      timestamptz,
  create_time       timestamptz NOT NULL,
  update_time       timestamptz NOT NULL,
  version           bigint NOT NULL,
  CONSTRAINT questionnaires_published_version_check CHECK (published_version >= 0),
  CONSTRAINT questionnaires_publish_time_check CHECK ((published_version = 0) = (publish_time IS NULL))
);
-- Which questionnaire a trigger sends: the one published last.
CREATE INDEX questionnaires_published_trigger_idx ON questionnaires (published_trigger, publish_time DESC, id DESC)
  WHERE published_trigger <> 0;

-- What was published never changes: the run role may only add and read.
CREATE TABLE questionnaire_versions (
  questionnaire_id uuid NOT NULL CONSTRAINT questionnaire_versions_questionnaire_id_fkey REFERENCES questionnaires,
  version          integer NOT NULL CONSTRAINT questionnaire_versions_version_check CHECK (version > 0),
  content          jsonb NOT NULL,
  publish_time     timestamptz NOT NULL,
  publish_actor    text NOT NULL,
  CONSTRAINT questionnaire_versions_pkey PRIMARY KEY (questionnaire_id, version)
);

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON questionnaire_versions FROM %I',
                 current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE questionnaire_versions, questionnaires;
