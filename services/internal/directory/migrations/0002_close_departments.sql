-- +goose Up
ALTER TABLE directory_departments ADD COLUMN closed boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE directory_departments DROP COLUMN closed;
