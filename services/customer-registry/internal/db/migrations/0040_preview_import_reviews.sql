-- +goose Up
-- 4: what a dry run says would change; nobody decides on it, and it goes when the import begins in earnest.
ALTER TABLE customer_import_reviews DROP CONSTRAINT customer_import_reviews_state_check;
ALTER TABLE customer_import_reviews ADD CONSTRAINT customer_import_reviews_state_check
  CHECK (state BETWEEN 1 AND 4 AND (decider IS NOT NULL) = (state IN (2, 3)));

-- +goose Down
DELETE FROM customer_import_reviews WHERE state = 4;
ALTER TABLE customer_import_reviews DROP CONSTRAINT customer_import_reviews_state_check;
ALTER TABLE customer_import_reviews ADD CONSTRAINT customer_import_reviews_state_check
  CHECK (state BETWEEN 1 AND 3 AND (decider IS NOT NULL) = (state > 1));
