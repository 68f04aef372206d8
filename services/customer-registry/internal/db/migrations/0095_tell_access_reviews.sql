-- +goose Up
-- The right that a read rested on, as in its audit record: what the quarterly review counts by.
-- Reads of before it was kept have none.
ALTER TABLE file_reads ADD COLUMN access_right text NOT NULL DEFAULT '';

-- Quarters whose unsigned review was told to be overdue, or that were signed before that.
CREATE TABLE access_review_notices (
  quarter   text PRIMARY KEY,
  tell_time timestamptz NOT NULL
);

-- The grants that were in force in a quarter, and their extracts.
CREATE INDEX access_requests_end_time_idx ON access_requests (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX break_glasses_end_time_idx ON break_glasses (end_time);
CREATE INDEX access_extracts_request_id_idx ON access_extracts (request_id, create_time);

-- Whether a signer decided in it.
CREATE INDEX access_requests_decider_idx ON access_requests (decider, decide_time) WHERE decider IS NOT NULL;

-- +goose Down
DROP INDEX access_requests_decider_idx, access_extracts_request_id_idx, break_glasses_end_time_idx, access_requests_end_time_idx;
DROP TABLE access_review_notices;
ALTER TABLE file_reads DROP COLUMN access_right;
