-- +goose Up
CREATE TABLE campaigns (
  id          uuid PRIMARY KEY,
  -- What its maker set, as JSON of the API's message.
  content     jsonb NOT NULL,
  state       smallint NOT NULL,
  -- Newest wave, 0 before the first, and whether it runs.
  wave        integer NOT NULL,
  open        boolean NOT NULL,
  -- When the next wave begins.
  next_time   timestamptz,
  creator     text NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  version     bigint NOT NULL
);
CREATE INDEX campaigns_next_time_idx ON campaigns (next_time) WHERE state = 2;
CREATE INDEX campaigns_open_idx ON campaigns (id) WHERE open;

CREATE TABLE campaign_waves (
  campaign_id           uuid NOT NULL CONSTRAINT campaign_waves_campaign_id_fkey REFERENCES campaigns,
  number                integer NOT NULL,
  questionnaire_id      uuid NOT NULL,
  questionnaire_version integer NOT NULL,
  -- 1 reading the audience, 2 asking, 3 everybody was asked.
  phase                 smallint NOT NULL,
  -- How far the step under way has come: the last customer read, or revoked after a stop.
  after_id              uuid,
  -- Who is drawn: members of tiers[n] with a rank up to cutoffs[n].
  tiers                 smallint[] NOT NULL,
  cutoffs               bigint[] NOT NULL,
  start_time            timestamptz NOT NULL,
  close_time            timestamptz,
  CONSTRAINT campaign_waves_pkey PRIMARY KEY (campaign_id, number)
);

-- The audience of a wave as it was when it began.
CREATE TABLE campaign_members (
  campaign_id   uuid NOT NULL,
  wave          integer NOT NULL,
  customer_id   uuid NOT NULL,
  tier          smallint NOT NULL,
  language      text NOT NULL,
  rank          bigint NOT NULL,
  -- 1 not asked, 2 asked, 3 held back, 4 dropped.
  state         smallint NOT NULL,
  invitation_id uuid,
  held_back     smallint,
  channel       smallint,
  -- Reminders made, and when the next one is due.
  reminders     smallint NOT NULL,
  remind_time   timestamptz,
  CONSTRAINT campaign_members_pkey PRIMARY KEY (campaign_id, wave, customer_id),
  CONSTRAINT campaign_members_campaign_id_fkey FOREIGN KEY (campaign_id, wave) REFERENCES campaign_waves,
  CONSTRAINT campaign_members_state_check CHECK ((state = 2) = (invitation_id IS NOT NULL) AND (state = 3) = (held_back IS NOT NULL))
);
CREATE INDEX campaign_members_rank_idx ON campaign_members (campaign_id, wave, tier, rank);
CREATE INDEX campaign_members_waiting_idx ON campaign_members (campaign_id, wave, tier, rank) WHERE state = 1;
CREATE INDEX campaign_members_remind_time_idx ON campaign_members (remind_time) WHERE remind_time IS NOT NULL;
CREATE INDEX campaign_members_customer_id_idx ON campaign_members (customer_id);

ALTER TABLE invitations ADD COLUMN campaign_id uuid, ADD COLUMN channel smallint;

-- Messages that leave the company. One that was claimed and not confirmed is not sent again.
CREATE TABLE survey_messages (
  id            uuid PRIMARY KEY,
  invitation_id uuid NOT NULL CONSTRAINT survey_messages_invitation_id_fkey REFERENCES invitations,
  campaign_id   uuid NOT NULL,
  wave          integer NOT NULL,
  customer_id   uuid NOT NULL,
  channel       smallint NOT NULL,
  reminder      boolean NOT NULL,
  -- 1 due, 2 claimed, 3 left, 4 unconfirmed, 5 dropped.
  state         smallint NOT NULL,
  driver        text,
  create_time   timestamptz NOT NULL,
  claim_time    timestamptz
);
CREATE INDEX survey_messages_due_idx ON survey_messages (campaign_id, id) WHERE state = 1;
CREATE INDEX survey_messages_claim_time_idx ON survey_messages (claim_time) WHERE state = 2;
CREATE INDEX survey_messages_wave_idx ON survey_messages (campaign_id, wave, state);
CREATE INDEX survey_messages_customer_id_idx ON survey_messages (customer_id);

-- +goose Down
DROP TABLE survey_messages;
ALTER TABLE invitations DROP COLUMN channel, DROP COLUMN campaign_id;
DROP TABLE campaign_members, campaign_waves, campaigns;
