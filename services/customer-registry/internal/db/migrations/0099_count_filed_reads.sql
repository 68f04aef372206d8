-- +goose Up
-- Reads of files are counted for the quarterly review when their audit records are filed. What a
-- read rests on is in the right (disclosure.Verdict.Right); customers who read their own file (2)
-- do not count.
-- +goose StatementBegin
CREATE FUNCTION count_filed_reads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO file_reads (id, read_time, reader, customer_id, basis, access_right)
  SELECT id, time, actor, customer_id, CASE split_part(access_right, ':', 1)
      WHEN 'grant' THEN 3
      WHEN 'break-glass' THEN 4
      WHEN 'ticket' THEN 5
      ELSE CASE WHEN access_right LIKE 'team/%' THEN 2 ELSE 1 END
    END, access_right
  FROM filed WHERE actor_kind <> 2;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER count_filed_reads AFTER DELETE ON audit_reads
  REFERENCING OLD TABLE AS filed FOR EACH STATEMENT EXECUTE FUNCTION count_filed_reads();

-- +goose Down
DROP TRIGGER count_filed_reads ON audit_reads;
DROP FUNCTION count_filed_reads;
