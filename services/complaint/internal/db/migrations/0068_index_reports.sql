-- +goose Up
-- Reports read a period; lists walk one of the others once for each state they want.
CREATE INDEX complaints_create_time_idx ON complaints (create_time);
CREATE INDEX complaints_severity_idx ON complaints (severity, state, id);
CREATE INDEX complaints_product_model_idx ON complaints (product_model, state, id) WHERE product_model <> '';
CREATE INDEX complaints_ticket_id_idx ON complaints (ticket_id, state, id) WHERE ticket_id IS NOT NULL;
-- What is due, soonest first.
CREATE INDEX clocks_due_time_idx ON clocks (due_time, id) WHERE stop_time IS NULL;

-- +goose Down
DROP INDEX clocks_due_time_idx, complaints_ticket_id_idx, complaints_product_model_idx, complaints_severity_idx, complaints_create_time_idx;
