-- +goose Up
-- What waits here for half a second is held by the service that read until it is filed, which is on
-- disk. Its way through the log too cost more than the row.
ALTER TABLE audit_reads SET UNLOGGED;

-- +goose Down
ALTER TABLE audit_reads SET LOGGED;
