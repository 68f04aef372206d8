-- +goose Up
-- Service supervisors read what their team registered or answers for, and of the rest what
-- waits for a step of theirs. The keys of what waits now: before the review; told, and
-- registered by no department; and a proposal that a supervisor may approve. 500.00 is the limit unless a company has set another; there
-- a proposal between the two waits for a manager, as any above the limit does.
INSERT INTO complaint_readers (complaint_id, reader, state)
SELECT id, 'review', state FROM complaints WHERE state IN (1, 2)
UNION ALL SELECT id, 'closure', state FROM complaints WHERE state = 8 AND registered_in IS NULL
ON CONFLICT ON CONSTRAINT complaint_readers_pkey DO NOTHING;
INSERT INTO complaint_readers (complaint_id, reader, state)
SELECT c.id, 'approval', c.state
FROM complaints c
JOIN LATERAL (
  SELECT amount_units, amount_nanos FROM complaint_proposals p
  WHERE p.complaint_id = c.id AND p.round = c.round ORDER BY p.number DESC LIMIT 1
) p ON true
LEFT JOIN directory_departments d ON d.id = c.department_id
WHERE c.state = 6 AND (p.amount_units, p.amount_nanos) <= (500, 0) AND d.function IS DISTINCT FROM 1
ON CONFLICT ON CONSTRAINT complaint_readers_pkey DO NOTHING;

-- +goose Down
DELETE FROM complaint_readers WHERE reader IN ('review', 'approval', 'closure');
