-- +goose Up
-- The last four digits of a phone are those of a hundred in a million, one a page: whose they
-- are, and who of them is newest, stands in the indexes.
DROP INDEX customers_phone_last4_index_idx;
CREATE INDEX customers_phone_last4_index_idx ON customers (phone_last4_index) INCLUDE (id) WHERE phone_last4_index IS NOT NULL;
DROP INDEX contacts_phone_last4_index_idx;
CREATE INDEX contacts_phone_last4_index_idx ON contacts (phone_last4_index) INCLUDE (customer_id) WHERE phone_last4_index IS NOT NULL;
CREATE INDEX customer_summaries_position_of_idx ON customer_summaries (customer_id) INCLUDE (position);

-- +goose Down
DROP INDEX customer_summaries_position_of_idx;
DROP INDEX contacts_phone_last4_index_idx;
CREATE INDEX contacts_phone_last4_index_idx ON contacts (phone_last4_index) WHERE phone_last4_index IS NOT NULL;
DROP INDEX customers_phone_last4_index_idx;
CREATE INDEX customers_phone_last4_index_idx ON customers (phone_last4_index) WHERE phone_last4_index IS NOT NULL;
