-- +goose Up
ALTER TABLE answers
  -- How it came, as the API numbers channels: 1 a link, 2 to 5 entered by staff, 6 imported.
  ADD COLUMN channel       smallint NOT NULL DEFAULT 1,
  -- Who entered it.
  ADD COLUMN enter_actor   text,
  ADD COLUMN late          boolean NOT NULL DEFAULT false,
  ADD COLUMN partial       boolean NOT NULL DEFAULT false,
  -- Nothing leads from it to its customer: not the invitation, not a time but the month, not its
  -- id, which is drawn at random.
  ADD COLUMN anonymous     boolean NOT NULL DEFAULT false,
  ADD COLUMN withdraw_time timestamptz,
  ADD CONSTRAINT answers_anonymous_check CHECK (NOT anonymous OR
    num_nonnulls(invitation_id, customer_id, ticket_id, complaint_id, invite_time, enter_actor) = 0);
UPDATE answers SET channel = 6 WHERE source IS NOT NULL;

-- An invitation that was answered anonymously does not name its answer.
ALTER TABLE invitations DROP CONSTRAINT invitations_answer_id_check,
  ADD CONSTRAINT invitations_answer_id_check CHECK (answer_id IS NULL OR state = 2);

-- Who handled a ticket or complaint that a customer may be asked about.
CREATE TABLE case_handlers (
  case_id  uuid NOT NULL,
  staff_id uuid NOT NULL,
  CONSTRAINT case_handlers_pkey PRIMARY KEY (case_id, staff_id)
);

-- The scores of an answer that is withdrawn go.
-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('GRANT DELETE ON answer_scores TO %I', current_setting('kefu.run_role'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE case_handlers;
ALTER TABLE invitations DROP CONSTRAINT invitations_answer_id_check,
  ADD CONSTRAINT invitations_answer_id_check CHECK ((state = 2) = (answer_id IS NOT NULL));
ALTER TABLE answers DROP CONSTRAINT answers_anonymous_check, DROP COLUMN channel, DROP COLUMN enter_actor, DROP COLUMN late,
  DROP COLUMN partial, DROP COLUMN anonymous, DROP COLUMN withdraw_time;
