-- +goose Up
CREATE TABLE segments (
  id          uuid PRIMARY KEY,
  name        text NOT NULL CONSTRAINT segments_name_key UNIQUE,
  purpose     text NOT NULL,
  -- kefu.customer.v1.SegmentCondition
  condition   bytea NOT NULL,
  creator     text NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  version     bigint NOT NULL
);

-- +goose Down
DROP TABLE segments;
