-- +goose Up
-- Reminders are looked for a wave at a time: those of a paused campaign must not be read over
-- and over on the way to another's.
CREATE INDEX campaign_members_reminders_idx ON campaign_members (campaign_id, wave, remind_time) WHERE remind_time IS NOT NULL;
DROP INDEX campaign_members_remind_time_idx;

-- +goose Down
CREATE INDEX campaign_members_remind_time_idx ON campaign_members (remind_time) WHERE remind_time IS NOT NULL;
DROP INDEX campaign_members_reminders_idx;
