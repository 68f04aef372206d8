-- +goose Up
-- By reader only what was read under a grant is looked for, of which there is little; every read
-- paid for the entry. A signer's own reads are found by their time.
DROP INDEX file_reads_reader_idx;
CREATE INDEX file_reads_granted_idx ON file_reads (reader, read_time) WHERE basis IN (3, 4);

-- +goose Down
DROP INDEX file_reads_granted_idx;
CREATE INDEX file_reads_reader_idx ON file_reads (reader, read_time);
