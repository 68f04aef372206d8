-- +goose Up
-- A matrix is one row a rated row, under the key `question.row`, so that it is counted and
-- analysed like any rating.
ALTER TABLE answer_responses
  -- Chosen ones of multiple choice.
  ADD COLUMN picks  text[],
  -- Choices of a ranking, the best one first.
  ADD COLUMN ranks  text[],
  ADD COLUMN number double precision,
  ADD COLUMN day    date,
  DROP CONSTRAINT answer_responses_value_check,
  ADD CONSTRAINT answer_responses_value_check CHECK (num_nonnulls(score, choice, body, picks, ranks, number, day) = 1);

-- What the random order of an invitation's form is drawn by: the form stays the same however
-- often it is opened.
ALTER TABLE invitations ADD COLUMN seed bigint NOT NULL DEFAULT (random() * 9007199254740991)::bigint;

-- What was filled in behind a link and not submitted yet.
CREATE TABLE answer_progress (
  invitation_id uuid PRIMARY KEY CONSTRAINT answer_progress_invitation_id_fkey REFERENCES invitations,
  customer_id   uuid NOT NULL CONSTRAINT answer_progress_customer_id_fkey REFERENCES customer_refs,
  -- Responses as JSON of the API's message.
  responses     jsonb NOT NULL,
  save_time     timestamptz NOT NULL
);
CREATE INDEX answer_progress_customer_id_idx ON answer_progress (customer_id);

-- +goose Down
DROP TABLE answer_progress;
ALTER TABLE invitations DROP COLUMN seed;
ALTER TABLE answer_responses DROP CONSTRAINT answer_responses_value_check,
  DROP COLUMN picks, DROP COLUMN ranks, DROP COLUMN number, DROP COLUMN day,
  ADD CONSTRAINT answer_responses_value_check CHECK (num_nonnulls(score, choice, body) = 1);
