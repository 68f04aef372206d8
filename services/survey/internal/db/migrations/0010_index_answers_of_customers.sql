-- +goose Up
CREATE INDEX answers_customer_id_idx ON answers (customer_id, id) WHERE customer_id IS NOT NULL;

-- +goose Down
DROP INDEX answers_customer_id_idx;
