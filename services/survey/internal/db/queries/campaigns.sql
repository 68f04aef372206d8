-- name: InsertCampaign :exec
INSERT INTO campaigns (id, content, state, wave, open, creator, create_time, update_time, version)
VALUES (@id, @content, 1, 0, false, @creator, @create_time, @create_time, 1);

-- name: GetCampaign :one
SELECT * FROM campaigns WHERE id = $1;

-- name: LockCampaign :one
SELECT * FROM campaigns WHERE id = $1 FOR UPDATE;

-- name: HoldCampaign :one
-- Keeps a campaign from being paused or stopped until the transaction ends.
SELECT * FROM campaigns WHERE id = $1 FOR SHARE;

-- name: ListCampaigns :many
SELECT * FROM campaigns WHERE id < @before ORDER BY id DESC LIMIT @size;

-- name: UpdateCampaign :exec
UPDATE campaigns SET content = @content, state = @state, wave = @wave, open = @open, next_time = @next_time,
  update_time = @update_time, version = version + 1
WHERE id = @id;

-- name: ListDueCampaigns :many
SELECT id FROM campaigns WHERE state = 2 AND next_time <= @now ORDER BY next_time LIMIT 20;

-- name: ListOpenCampaigns :many
SELECT id FROM campaigns WHERE open ORDER BY id;

-- name: InsertWave :exec
INSERT INTO campaign_waves (campaign_id, number, questionnaire_id, questionnaire_version, phase, tiers, cutoffs, start_time)
VALUES (@campaign_id, @number, @questionnaire_id, @questionnaire_version, 1, '{}', '{}', @start_time);

-- name: GetWave :one
SELECT * FROM campaign_waves WHERE campaign_id = @campaign_id AND number = @number;

-- name: LockWave :one
SELECT * FROM campaign_waves WHERE campaign_id = @campaign_id AND number = @number FOR UPDATE;

-- name: AdvanceWave :exec
UPDATE campaign_waves SET after_id = @after_id WHERE campaign_id = @campaign_id AND number = @number;

-- name: DrawWave :exec
UPDATE campaign_waves SET phase = 2, after_id = NULL, tiers = @tiers, cutoffs = @cutoffs
WHERE campaign_id = @campaign_id AND number = @number;

-- name: EndWave :exec
UPDATE campaign_waves SET phase = 3, close_time = @close_time WHERE campaign_id = @campaign_id AND number = @number;

-- name: InsertMembers :exec
INSERT INTO campaign_members (campaign_id, wave, customer_id, tier, language, rank, state, reminders)
SELECT @campaign_id::uuid, @wave::integer, unnest(@customer_ids::uuid[]), unnest(@tiers::smallint[]), unnest(@languages::text[]),
  unnest(@ranks::bigint[]), 1, 0
ON CONFLICT DO NOTHING;

-- name: CountAudience :many
SELECT tier, count(*) AS n FROM campaign_members WHERE campaign_id = @campaign_id AND wave = @wave GROUP BY tier ORDER BY tier;

-- name: GetCutoff :one
-- The rank of the last of so many of a tier.
SELECT rank FROM campaign_members WHERE campaign_id = @campaign_id AND wave = @wave AND tier = @tier ORDER BY rank OFFSET @place LIMIT 1;

-- name: GetSimpleCutoff :one
SELECT rank FROM campaign_members WHERE campaign_id = @campaign_id AND wave = @wave ORDER BY rank OFFSET @place LIMIT 1;

-- name: ListWaiting :many
SELECT customer_id, language FROM campaign_members
WHERE campaign_id = @campaign_id AND wave = @wave AND tier = @tier AND state = 1 AND rank <= @cutoff ORDER BY rank LIMIT @size;

-- name: LockWaiting :many
SELECT customer_id, language FROM campaign_members
WHERE campaign_id = @campaign_id AND wave = @wave AND customer_id = ANY(@customer_ids::uuid[]) AND state = 1
ORDER BY customer_id FOR UPDATE;

-- name: LockConsents :many
-- Those of the customers who let themselves be asked; none of them withdraws before the
-- transaction ends.
SELECT id FROM customer_refs c
WHERE id = ANY(@customer_ids::uuid[]) AND service_quality_consent
  AND NOT EXISTS (SELECT FROM survey_consents s WHERE s.customer_id = c.id AND NOT s.granted)
ORDER BY id FOR SHARE OF c;

-- name: InsertCampaignInvitations :exec
WITH made AS (
INSERT INTO invitations (id, questionnaire_id, questionnaire_version, customer_id, state, round, language, expire_time,
  create_actor, create_time, version, campaign_id, channel)
SELECT unnest(@ids::uuid[]), @questionnaire_id::uuid, @questionnaire_version::integer, unnest(@customer_ids::uuid[]), 1, 0,
  unnest(@languages::text[]), @expire_time::timestamptz, @create_actor::text, @create_time::timestamptz, 1, @campaign_id::uuid,
  unnest(@channels::smallint[])
RETURNING id)
INSERT INTO uncounted (id) SELECT made.id FROM made;

-- name: UpdateMembersAsked :exec
UPDATE campaign_members m SET state = 2, invitation_id = v.invitation_id, channel = v.channel,
  remind_time = CASE WHEN v.reminded THEN @remind_time::timestamptz END
FROM (SELECT unnest(@customer_ids::uuid[]) AS customer_id, unnest(@invitation_ids::uuid[]) AS invitation_id,
        unnest(@channels::smallint[]) AS channel, unnest(@reminded::boolean[]) AS reminded) v
WHERE m.campaign_id = @campaign_id AND m.wave = @wave AND m.customer_id = v.customer_id;

-- name: UpdateMembersHeldBack :exec
UPDATE campaign_members m SET state = 3, held_back = v.held_back
FROM (SELECT unnest(@customer_ids::uuid[]) AS customer_id, unnest(@held_back::smallint[]) AS held_back) v
WHERE m.campaign_id = @campaign_id AND m.wave = @wave AND m.customer_id = v.customer_id;

-- name: UpdateMembersDropped :exec
UPDATE campaign_members SET state = 4 WHERE campaign_id = @campaign_id AND wave = @wave AND customer_id = ANY(@customer_ids::uuid[]);

-- name: LockReminders :many
SELECT m.customer_id, m.reminders, m.channel, i.id AS invitation_id, i.state, i.expire_time, i.create_time
FROM campaign_members m JOIN invitations i ON i.id = m.invitation_id
WHERE m.campaign_id = @campaign_id AND m.wave = @wave AND m.remind_time <= @now
ORDER BY m.remind_time LIMIT @size FOR UPDATE OF m SKIP LOCKED;

-- name: UpdateMemberReminded :exec
UPDATE campaign_members SET reminders = @reminders, remind_time = @remind_time
WHERE campaign_id = @campaign_id AND wave = @wave AND customer_id = @customer_id;

-- name: InsertMessages :exec
INSERT INTO survey_messages (id, invitation_id, campaign_id, wave, customer_id, channel, reminder, state, create_time)
SELECT unnest(@ids::uuid[]), unnest(@invitation_ids::uuid[]), @campaign_id::uuid, @wave::integer, unnest(@customer_ids::uuid[]),
  unnest(@channels::smallint[]), @reminder::boolean, 1, @create_time::timestamptz;

-- name: ClaimMessages :many
UPDATE survey_messages SET state = 2, driver = @driver::text, claim_time = @now::timestamptz
WHERE id = ANY(ARRAY(
  SELECT d.id FROM survey_messages d WHERE d.campaign_id = @campaign_id AND d.state = 1 ORDER BY d.id LIMIT @size FOR UPDATE SKIP LOCKED)::uuid[])
RETURNING *;

-- name: SettleMessages :exec
UPDATE survey_messages SET state = @state WHERE id = ANY(@ids::uuid[]) AND state = 2;

-- name: GiveUpMessages :exec
UPDATE survey_messages SET state = 4 WHERE state = 2 AND claim_time < @before;

-- name: ListPendingIDs :many
SELECT id FROM invitations WHERE id = ANY(@ids::uuid[]) AND state = 1 AND expire_time > @now;

-- name: ListMembersAfter :many
SELECT m.*, coalesce(i.state, 0)::smallint AS invitation_state FROM campaign_members m LEFT JOIN invitations i ON i.id = m.invitation_id
WHERE m.campaign_id = @campaign_id AND m.wave = @wave AND m.customer_id > @after ORDER BY m.customer_id LIMIT @size;

-- name: LockPendingOfCampaign :many
SELECT * FROM invitations WHERE id = ANY(@ids::uuid[]) AND state = 1 ORDER BY id FOR UPDATE;

-- name: CountMembers :many
SELECT m.tier, m.state, coalesce(m.held_back, 0)::smallint AS held_back, coalesce(i.state, 0)::smallint AS invitation_state,
  coalesce(m.rank <= c.cutoff, false)::boolean AS drawn, count(*) AS n, sum(m.reminders)::bigint AS reminders
FROM campaign_members m
LEFT JOIN invitations i ON i.id = m.invitation_id
LEFT JOIN (SELECT unnest(@tiers::smallint[]) AS tier, unnest(@cutoffs::bigint[]) AS cutoff) c ON c.tier = m.tier
WHERE m.campaign_id = @campaign_id AND m.wave = @wave
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;

-- name: CountMessages :many
SELECT state, count(*) AS n FROM survey_messages WHERE campaign_id = @campaign_id AND wave = @wave GROUP BY state ORDER BY state;

-- name: ListLastAsked :many
-- When any survey asked these last; who never was is left out.
SELECT customer_id, max(create_time)::timestamptz AS ask_time FROM invitations
WHERE customer_id = ANY(@customer_ids::uuid[]) AND state <> 5 GROUP BY customer_id;
