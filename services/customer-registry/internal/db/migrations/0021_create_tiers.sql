-- +goose Up
-- What managers mark by hand of a customer's value.
CREATE TABLE customer_standings (
  customer_id      uuid PRIMARY KEY CONSTRAINT customer_standings_customer_id_fkey REFERENCES customers,
  strategic        boolean NOT NULL,
  strategic_reason text NOT NULL,
  growth_rating    smallint,
  referrer_id      uuid CONSTRAINT customer_standings_referrer_id_fkey REFERENCES customers,
  update_time      timestamptz NOT NULL,
  version          bigint NOT NULL,
  CONSTRAINT customer_standings_strategic_reason_check CHECK (strategic = (strategic_reason <> '')),
  CONSTRAINT customer_standings_growth_rating_check CHECK (growth_rating BETWEEN 1 AND 5),
  CONSTRAINT customer_standings_referrer_id_check CHECK (referrer_id <> customer_id)
);
CREATE INDEX customer_standings_referrer_id_idx ON customer_standings (referrer_id) WHERE referrer_id IS NOT NULL;

-- Scorings of all customers. after_id is the last customer that was moved.
CREATE TABLE tier_runs (
  id              uuid PRIMARY KEY,
  model_id        uuid NOT NULL CONSTRAINT tier_runs_model_id_fkey REFERENCES rule_versions,
  as_of_time      timestamptz NOT NULL,
  -- 1 pending, 2 preview, 3 applying, 4 applied.
  state           smallint NOT NULL,
  scored          bigint NOT NULL DEFAULT 0,
  moves           bigint NOT NULL DEFAULT 0,
  moved           bigint NOT NULL DEFAULT 0,
  orders_left_out bigint NOT NULL DEFAULT 0,
  -- By tier, from C.
  before_counts   bigint[] NOT NULL DEFAULT '{0,0,0,0}',
  after_counts    bigint[] NOT NULL DEFAULT '{0,0,0,0}',
  schedule        text CONSTRAINT tier_runs_schedule_key UNIQUE,
  author          text NOT NULL,
  applier         text,
  after_id        uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  create_time     timestamptz NOT NULL,
  apply_time      timestamptz,
  revision        bigint NOT NULL,
  CONSTRAINT tier_runs_state_check CHECK (state BETWEEN 1 AND 4 AND (applier IS NOT NULL) = (state >= 3)
    AND (apply_time IS NOT NULL) = (state = 4)),
  CONSTRAINT tier_runs_second_person_check CHECK (applier <> author)
);
CREATE INDEX tier_runs_work_idx ON tier_runs (id) WHERE state IN (1, 3);
CREATE INDEX tier_runs_applied_idx ON tier_runs (id DESC) WHERE state IN (3, 4);
-- One run moves customers at a time, so that the last applied one is one.
CREATE UNIQUE INDEX tier_runs_applying_key ON tier_runs ((state)) WHERE state = 3;

-- The score of each customer in a run: measures and their ranks in the order of the weights.
CREATE TABLE tier_scores (
  run_id      uuid NOT NULL CONSTRAINT tier_scores_run_id_fkey REFERENCES tier_runs,
  customer_id uuid NOT NULL,
  measures    float8[] NOT NULL,
  ranks       float8[] NOT NULL,
  score       float8 NOT NULL,
  -- The tier of the score alone, the one when it was computed, and the one it comes to, and by
  -- what: 1 the score, 2 strategic, 3 set by hand.
  tier        smallint NOT NULL,
  from_tier   smallint NOT NULL,
  to_tier     smallint NOT NULL,
  reason      smallint NOT NULL,
  CONSTRAINT tier_scores_pkey PRIMARY KEY (run_id, customer_id)
);
CREATE INDEX tier_scores_moves_idx ON tier_scores (run_id, customer_id) WHERE from_tier <> to_tier;

-- +goose Down
DROP TABLE tier_scores, tier_runs, customer_standings;
