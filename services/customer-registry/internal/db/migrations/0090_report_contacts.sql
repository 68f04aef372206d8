-- +goose Up
-- A report of a change of a contact is encrypted under the contact's key, and dies with it.
ALTER TABLE change_reports ADD COLUMN contact_id uuid CONSTRAINT change_reports_contact_id_fkey REFERENCES contacts;
CREATE INDEX change_reports_contact_id_idx ON change_reports (contact_id) WHERE contact_id IS NOT NULL;

-- +goose Down
DROP INDEX change_reports_contact_id_idx;
ALTER TABLE change_reports DROP COLUMN contact_id;
