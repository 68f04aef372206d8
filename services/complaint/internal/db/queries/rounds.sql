-- name: InsertRound :exec
INSERT INTO complaint_rounds (complaint_id, number, start_time, submit_time, review_time, valid_at_first_sight,
  assign_version, tell_channel, told, satisfaction, answer_said_by, answer_channel, answer_note)
VALUES (@complaint_id, @number, @start_time, @submit_time, @review_time, @valid_at_first_sight, 0, 0, '', 0, '', 0, '');

-- name: InsertRounds :copyfrom
INSERT INTO complaint_rounds (complaint_id, number, start_time, assign_version, tell_channel, told, satisfaction,
  answer_said_by, answer_channel, answer_note)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: SelectRounds :many
SELECT * FROM complaint_rounds WHERE complaint_id = ANY (@complaint_ids::uuid[]) ORDER BY complaint_id, number;

-- name: GetRound :one
SELECT * FROM complaint_rounds WHERE complaint_id = $1 AND number = $2;

-- name: UpdateRound :exec
UPDATE complaint_rounds SET handler_staff_id = @handler_staff_id, submit_time = @submit_time, review_time = @review_time,
  valid_at_first_sight = @valid_at_first_sight, assign_time = @assign_time, assign_version = @assign_version,
  contact_time = @contact_time, tell_time = @tell_time, tell_channel = @tell_channel, told = @told,
  satisfaction = @satisfaction, answer_said_by = @answer_said_by, answer_channel = @answer_channel,
  answer_note = @answer_note, answer_time = @answer_time, survey_answer_id = @survey_answer_id
WHERE complaint_id = @complaint_id AND number = @number;

-- name: InsertProposal :exec
INSERT INTO complaint_proposals (complaint_id, round, number, findings, cause, validity, remedy, currency, amount_units,
  amount_nanos, solution, proposer_actor, proposer_staff_id, propose_time, decision, decision_reason, approver_actor)
VALUES (@complaint_id, @round, (SELECT coalesce(max(p.number), 0) + 1 FROM complaint_proposals p
    WHERE p.complaint_id = @complaint_id AND p.round = @round),
  @findings, @cause, @validity, @remedy, @currency, @amount_units, @amount_nanos, @solution, @proposer_actor,
  @proposer_staff_id, @propose_time, 0, '', '');

-- name: GetProposal :one
-- The last of the round.
SELECT * FROM complaint_proposals WHERE complaint_id = $1 AND round = $2 ORDER BY number DESC LIMIT 1;

-- name: DecideProposal :exec
UPDATE complaint_proposals SET decision = @decision, decision_reason = @decision_reason, decide_time = @decide_time,
  approver_actor = @approver_actor, approver_staff_id = @approver_staff_id
WHERE complaint_id = @complaint_id AND round = @round AND number = @number;

-- name: SelectProposals :many
-- The last of each round.
SELECT DISTINCT ON (complaint_id, round) * FROM complaint_proposals
WHERE complaint_id = ANY (@complaint_ids::uuid[]) ORDER BY complaint_id, round, number DESC;
